/** The thread that owns a connection to the SQLite file. */
import { workerData } from "node:worker_threads";
import { type Failure, serve } from "../../../base/thread.ts";
import { type Answer, type Opening, type Query, SqliteConnection, type SqliteError } from "./connection.ts";

const connection = new SqliteConnection(workerData as Opening);

serve<Query, Answer>(
  (query) => connection.run(query),
  () => connection.close(),
  (error): Failure => {
    const { message, errcode } = error as SqliteError;
    return { message, ...(errcode === undefined ? {} : { errcode }) };
  },
);
