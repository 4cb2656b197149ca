/** Makes a bundle of evidence about what a page shows. */
import { useState } from "preact/hooks";
import { request } from "../api/client.ts";
import { mayChange } from "../api/session.ts";
import type { EvidenceBundle } from "../api/types.ts";
import { Dialog } from "../shell/dialog.tsx";
import { address, go } from "../shell/router.ts";

export type Subject = { anomaly: string } | { incident: string };

function MakeDialog({ subject, onClose }: { subject: Subject; onClose(): void }) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();
  const make = async (form: HTMLFormElement) => {
    setBusy(true);
    setProblem(undefined);
    const note = String(new FormData(form).get("note")).trim();
    try {
      const { id } = await request<EvidenceBundle>("/v1/evidence", {
        method: "POST",
        body: { ...subject, ...(note !== "" && { note }) },
      });
      onClose();
      go(address(`/evidence/${encodeURIComponent(id)}`));
    } catch (error) {
      setProblem((error as Error).message);
      setBusy(false);
    }
  };
  return (
    <Dialog title="Make evidence" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void make(event.currentTarget);
        }}
      >
        <p>
          A signed bundle of all that is stored about it is made and kept. Others can verify it without
          Driftlock. The audit log has who made it, and why.
        </p>
        <label>
          Note
          <textarea name="note" rows={3} maxLength={4_096} placeholder="Why, for the audit log" />
        </label>
        {problem && (
          <p class="problems" role="alert">
            No bundle was made: {problem}.
          </p>
        )}
        <footer>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={busy}>
            {busy ? "Making it" : "Make it"}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

/** The button that asks for a note, for those who may make bundles. */
export function MakeEvidence({ subject }: { subject: Subject }) {
  const [asked, setAsked] = useState(false);
  if (!mayChange()) return null;
  return (
    <>
      <button type="button" onClick={() => setAsked(true)}>
        Make evidence
      </button>
      {asked && <MakeDialog subject={subject} onClose={() => setAsked(false)} />}
    </>
  );
}
