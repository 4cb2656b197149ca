// Verifies what an evidence bundle says of the audit log: the checkpoint by sumdb/note, and the proofs by
// transparency-dev/merkle.
//
// Usage: go run . evidence.json KEY [ENTRY...]
// KEY is what `driftlock keys signing export --note --tenant TENANT` prints.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

type bundle struct {
	Content struct {
		Audit struct {
			Checkpoint string
			Entries    []struct {
				Entry json.RawMessage
				Proof []string
			}
			Previous *struct {
				Checkpoint string
				Proof      []string
			}
		}
	}
}

func hashes(texts []string) [][]byte {
	all := make([][]byte, len(texts))
	for i, text := range texts {
		decoded, err := hex.DecodeString(text)
		check(err)
		all[i] = decoded
	}
	return all
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func head(signed string, verifier note.Verifier) (uint64, []byte) {
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseUint(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	return size, root
}

func main() {
	file, err := os.ReadFile(os.Args[1])
	check(err)
	var read bundle
	check(json.Unmarshal(file, &read))
	verifier, err := note.NewVerifier(os.Args[2])
	check(err)
	audit := read.Content.Audit
	size, root := head(audit.Checkpoint, verifier)
	fmt.Printf("a checkpoint of %d entries, signed by %s\n", size, verifier.Name())
	for _, each := range audit.Entries {
		var entry struct{ Seq uint64 }
		check(json.Unmarshal(each.Entry, &entry))
		// The file holds canonical JSON, so the entry stands in it as it was hashed.
		leaf := rfc6962.DefaultHasher.HashLeaf(bytes.TrimSpace(each.Entry))
		check(proof.VerifyInclusion(rfc6962.DefaultHasher, entry.Seq-1, size, leaf, hashes(each.Proof), root))
		fmt.Printf("entry %d is in the log\n", entry.Seq)
	}
	if previous := audit.Previous; previous != nil {
		before, rootBefore := head(previous.Checkpoint, verifier)
		check(proof.VerifyConsistency(rfc6962.DefaultHasher, before, size, hashes(previous.Proof), rootBefore, root))
		fmt.Printf("the log begins with the %d entries of the previous checkpoint\n", before)
	}
}
