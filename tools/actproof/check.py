"""Holds an evidence bundle of an incident against ActProof's profile of DORA's initial notification.

    python3 -m venv venv && venv/bin/pip install actproof-events
    venv/bin/python check.py BUNDLE FOLDER

Writes the two pieces of evidence that the profile requires into the folder: an excerpt of what the detection system recorded, and
the record of the classification. Prints what ActProof finds in the notification, as JSON: the fields that it misses are those that only
people know. Nothing here is legal advice.
"""

import hashlib
import json
import pathlib
import sys

from actproof_events.services import generate_evidence_checklist, prevalidate_report

ACT = "op:eu.dora.ict_incident_notification_initial.v1"
# ActProof's fields by the numbers of Implementing Regulation (EU) 2025/302.
FIELDS = {
    "submission_type": "1.1",
    "entity_legal_name": "1.5",
    "entity_legal_identifier": "1.6",
    "financial_entity_type": "1.4",
    "primary_contact_name": "1.7",
    "primary_contact_email": "1.8",
    "secondary_contact_name": "1.10",
    "secondary_contact_email": "1.11",
    "reporting_currency": "1.15",
    "incident_reference_code": "2.1",
    "detection_datetime_utc": "2.2",
    "classification_datetime_utc": "2.3",
    "initial_impact_description": "2.4",
    "classification_criteria_triggered": "2.5",
    "affected_member_states": "2.6",
    "incident_discovery_method": "2.7",
    "business_continuity_plan_activated": "2.9",
    "first_disruption_datetime_utc": "3.2",
    "affected_functions_and_services": "3.27",
}


def write(folder: pathlib.Path, label: str, content: dict) -> dict:
    data = json.dumps(content, indent=1, ensure_ascii=False).encode()
    path = folder / f"{label}.json"
    path.write_bytes(data)
    return {"label": label, "filename": path.name, "sha256_hex": hashlib.sha256(data).hexdigest(), "byte_size": len(data)}


def main() -> None:
    content = json.loads(pathlib.Path(sys.argv[1]).read_text())["content"]
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    duty = next((duty for duty in content["duties"] if duty["template"].startswith("dora-")), None)
    if duty is None or not content["incidents"]:
        sys.exit("the bundle must be about an incident, and contain a report of DORA: see evidence.reporting.in_bundles")
    incident = content["incidents"][0]
    values = {field["id"]: field["value"] for field in duty["fields"]}
    claim = {name: values.get(number) for name, number in FIELDS.items()}
    claim["submission_type"] = "initial"
    evidence = [
        write(
            folder,
            "detection_system_log_excerpt",
            {
                "bundle": content["id"],
                "incident": incident["id"],
                "timeline": incident["timeline"],
                "evidence": incident["evidence"],
                "anomalies": [
                    {key: anomaly[key] for key in ("id", "stream", "start_time", "end_time", "reports", "excerpts")}
                    for anomaly in content["anomalies"]
                ],
            },
        ),
        # Who decided what and when, by the audit log. Its entries have proofs, which `driftlock verify` checks.
        write(
            folder,
            "classification_committee_record",
            {
                "bundle": content["id"],
                "incident": incident["id"],
                "classified_at": values.get("2.3"),
                "criteria": values.get("2.5"),
                "decisions": incident["events"],
                "audit_log": content["audit"]["entries"],
            },
        ),
    ]
    required = generate_evidence_checklist(ACT)["required_evidence_labels"]
    found = prevalidate_report(ACT, {name: value for name, value in claim.items() if value is not None})
    print(
        json.dumps(
            {
                "missing_evidence": sorted(set(required) - {piece["label"] for piece in evidence}),
                "evidence": evidence,
                "required_present": found["required_present"],
                "required_total": found["required_total"],
                "missing_required": found["missing_required"],
                "unknown_fields": found["unknown_fields"],
            },
            indent=1,
        )
    )


main()
