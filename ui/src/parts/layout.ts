/** Places the services of a graph in columns, callers left of whom they call. */

export interface Edge {
  caller: string;
  callee: string;
}

export interface Placed {
  name: string;
  column: number;
  row: number;
}

export interface Layout {
  nodes: Placed[];
  columns: number;
  rows: number;
}

/** Returns the edges without those that close a circle. */
function withoutCircles(names: readonly string[], edges: readonly Edge[]): Edge[] {
  const callees = Map.groupBy(edges, ({ caller }) => caller);
  const state = new Map<string, "open" | "done">();
  const kept: Edge[] = [];
  const visit = (name: string) => {
    state.set(name, "open");
    for (const edge of callees.get(name) ?? []) {
      if (state.get(edge.callee) === "open") continue;
      kept.push(edge);
      if (!state.has(edge.callee)) visit(edge.callee);
    }
    state.set(name, "done");
  };
  const called = new Set(edges.map(({ callee }) => callee));
  // Whoever nobody calls comes first.
  for (const name of [...names].sort((a, b) => Number(called.has(a)) - Number(called.has(b)))) {
    if (!state.has(name)) visit(name);
  }
  return kept;
}

export function layOut(names: readonly string[], edges: readonly Edge[]): Layout {
  const forward = withoutCircles(names, edges);
  const column = new Map(names.map((name) => [name, 0]));
  // Each round moves whom others call one column further at least; there are no circles, so that it ends.
  for (let moved = true; moved; ) {
    moved = false;
    for (const { caller, callee } of forward) {
      if (column.get(callee)! > column.get(caller)!) continue;
      column.set(callee, column.get(caller)! + 1);
      moved = true;
    }
  }
  const byColumn = Map.groupBy(names, (name) => column.get(name)!);
  const columns = Math.max(0, ...byColumn.keys()) + 1;
  const rowOf = new Map<string, number>();
  const nodes: Placed[] = [];
  for (let i = 0; i < columns; i++) {
    const callers = (name: string) =>
      forward.filter(({ callee }) => callee === name).map(({ caller }) => rowOf.get(caller) ?? 0);
    // Close to its callers, so that few lines cross.
    const middle = (name: string) => {
      const rows = callers(name);
      return rows.length === 0 ? 0 : rows.reduce((sum, row) => sum + row, 0) / rows.length;
    };
    const sorted = [...(byColumn.get(i) ?? [])].sort((a, b) => middle(a) - middle(b));
    for (const [row, name] of sorted.entries()) {
      rowOf.set(name, row);
      nodes.push({ name, column: i, row });
    }
  }
  const rows = Math.max(1, ...[...byColumn.values()].map((each) => each.length));
  return { nodes, columns, rows };
}
