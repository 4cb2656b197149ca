/** Pages whose code is loaded when they are first opened, so that those that are opened first stay small. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Failure, Skeleton } from "../parts/states.tsx";

type PageComponent = ComponentType<{ id: string }>;

export function lazyPage(load: () => Promise<PageComponent>): PageComponent {
  let Page: PageComponent | undefined;
  return function LazyPage(props) {
    const [error, setError] = useState<Error>();
    const [attempt, setAttempt] = useState(0);
    const [, setReady] = useState(Page !== undefined);
    useEffect(() => {
      if (Page !== undefined) return;
      setError(undefined);
      load().then(
        (loaded) => {
          Page = loaded;
          setReady(true);
        },
        () => setError(new Error("the code of this page could not be loaded")),
      );
    }, [attempt]);
    if (Page !== undefined) return <Page {...props} />;
    if (error === undefined) return <Skeleton />;
    return <Failure error={error} retry={() => setAttempt(attempt + 1)} stale={false} />;
  };
}
