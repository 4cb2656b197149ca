import { useEffect } from "preact/hooks";
import { loadSession } from "../api/session.ts";
import { LoginPage } from "../login/page.tsx";
import { JudgeDialog } from "../parts/judge.tsx";
import { Frame } from "./frame.tsx";
import { pageOf } from "./pages.tsx";
import { address, here } from "./router.ts";

function NotFound() {
  return (
    <section class="empty">
      <h1>There is no such page</h1>
      <p>
        The address may be mistyped. <a href={address("/")}>Go to the start</a>.
      </p>
    </section>
  );
}

export function App() {
  if (here.value.path === "/login") return <LoginPage />;
  return <Pages />;
}

function Pages() {
  useEffect(() => {
    // Whoever must log in is led there by the answer.
    loadSession().catch(() => {});
  }, []);
  const match = pageOf(here.value.path);
  return (
    <Frame>
      {match === undefined ? <NotFound /> : <match.Page key={match.id} id={match.id} />}
      <JudgeDialog />
    </Frame>
  );
}
