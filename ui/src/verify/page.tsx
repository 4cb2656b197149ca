/** Verifies a bundle of evidence in this browser, offline. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Recompute } from "../../../src/verify/wasm.ts";
import { bytes, plural } from "../parts/format.ts";
import { useTitle } from "../shell/title.ts";
import { Outcome } from "./outcome.tsx";
import { TrustedKeys, trusted } from "./trusted.tsx";
import { type Outcome as Found, hasModule, loadModule, verify } from "./verify.ts";

/** A bundle is bounded when it is made; nothing larger is read. */
const maxBytes = 128 * 2 ** 20;

type Module = "loading" | "absent" | { failed: string } | Recompute;

function useModule(): Module {
  const [module, setModule] = useState<Module>(hasModule ? "loading" : "absent");
  useEffect(() => {
    // It is loaded before it is needed, so that the page works without a network from then on.
    if (hasModule) {
      loadModule().then(
        (recompute) => setModule(() => recompute),
        (error: Error) => setModule({ failed: error.message }),
      );
    }
  }, []);
  return module;
}

function ModuleNote({ module }: { module: Module }) {
  if (typeof module === "function") {
    return (
      <p class="hint">Verdicts are computed again in this browser. From now on, the page needs no network.</p>
    );
  }
  if (module === "loading") return <p class="hint">What computes verdicts again is being loaded.</p>;
  return (
    <p class="notice">
      {module === "absent"
        ? "This installation cannot compute verdicts again in browsers, because it was built without a compiler for WebAssembly."
        : `What computes verdicts again could not be loaded: ${module.failed}.`}{" "}
      All other checks are made. <code>driftlock verify FILE</code> makes all of them.
    </p>
  );
}

/** @throws {Error} that says what the file is instead of a bundle. */
async function read(file: File): Promise<string> {
  if (file.size > maxBytes) throw new Error(`${file.name} has ${bytes(file.size)}: no bundle is that large`);
  const content = new Uint8Array(await file.arrayBuffer());
  if (new TextDecoder("latin1").decode(content.subarray(0, 5)) === "%PDF-") {
    throw new Error(
      `${file.name} is the readable form. The bundle is attached to it: save the attachment, and choose that`,
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    throw new Error(`${file.name} is no text, which every bundle is`);
  }
}

interface Chosen {
  name: string;
  text: string;
}

function Drop({ onFile }: { onFile(file: File): void }) {
  const [over, setOver] = useState(false);
  return (
    <label
      class={`drop ${over ? "over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const file = event.dataTransfer?.files[0];
        if (file) onFile(file);
      }}
    >
      <span>Drop the file of a bundle here, or choose it</span>
      <input
        type="file"
        accept=".json,application/json"
        onChange={({ currentTarget }) => {
          const file = currentTarget.files?.[0];
          if (file) onFile(file);
          // The same file can be chosen again after it has changed.
          currentTarget.value = "";
        }}
      />
    </label>
  );
}

export function VerifyPage() {
  useTitle("Verify evidence");
  const module = useModule();
  const [chosen, setChosen] = useState<Chosen>();
  const [problem, setProblem] = useState<string>();
  const [progress, setProgress] = useState<number>();
  const [outcome, setOutcome] = useState<Found>();
  /** The latest verification: what an earlier one finds is of no interest any more. */
  const run = useRef(0);
  const { value: whom } = trusted;
  const choose = (file: File) => {
    setProblem(undefined);
    setChosen(undefined);
    setOutcome(undefined);
    read(file).then(
      (text) => setChosen({ name: file.name, text }),
      (error: Error) => setProblem(error.message),
    );
  };
  useEffect(() => {
    if (chosen === undefined || module === "loading") return;
    run.current += 1;
    const mine = run.current;
    const current = () => mine === run.current;
    setProgress(0);
    verify({
      file: chosen.text,
      trusted: whom,
      recompute: typeof module === "function" ? module : undefined,
      onProgress: (computed) => current() && setProgress(computed),
    })
      .then(
        (found) => current() && setOutcome(found),
        (error: Error) => current() && setProblem(`The file could not be checked: ${error.message}`),
      )
      .finally(() => current() && setProgress(undefined));
  }, [chosen, whom, module]);
  return (
    <article class="narrow">
      <h1>Verify evidence</h1>
      <p>
        A bundle of evidence is checked here, in your browser: who signed it, whether anything was altered
        since, and whether the engine reaches the same verdicts again. The file is sent nowhere.
      </p>
      <ModuleNote module={module} />
      <Drop onFile={choose} />
      {problem && (
        <p class="problems" role="alert">
          {problem}.
        </p>
      )}
      {progress !== undefined && (
        <p role="status">Checking{progress > 0 && `; ${plural(progress, "verdict")} computed again`}</p>
      )}
      {chosen && outcome && progress === undefined && <Outcome file={chosen.name} outcome={outcome} />}
      <TrustedKeys own={outcome?.publicKey} />
    </article>
  );
}
