"""Verifies the envelope of an evidence bundle by securesystemslib.

Usage: pip install securesystemslib cryptography; python dsse.py evidence.json operator.pem
"""

import hashlib
import json
import sys

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

bundle_file, key_file = sys.argv[1:]
with open(bundle_file, encoding="utf-8") as file:
    lines = file.read().split("\n")
content = lines[2].removeprefix('"content":').removesuffix(",")
envelope_json = json.loads(lines[3].removeprefix('"envelope":').removesuffix(","))
with open(key_file, "rb") as file:
    public_key = load_pem_public_key(file.read())
der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
key = SSlibKey.from_crypto(public_key, keyid=hashlib.sha256(der).hexdigest())

envelope = Envelope.from_dict(envelope_json)
print("verified by", *envelope.verify([key], 1).keys())
statement = json.loads(envelope.payload)
named = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
assert named["content"] == hashlib.sha256(content.encode()).hexdigest(), "the content was altered"
print("the content is the one that was signed")
