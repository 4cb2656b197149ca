/** The thread that owns a connection to the SQLite file. */
import { workerData } from "node:worker_threads";
import { serve } from "../../../base/thread.ts";
import { type Answer, type Opening, type Query, SqliteConnection, type SqliteError } from "./connection.ts";

const connection = new SqliteConnection(workerData as Opening);

serve<Query, Answer, Pick<SqliteError, "errcode">>({
  answer: (query) => connection.run(query),
  close: () => connection.close(),
  toFailure(error) {
    const { message, errcode } = error as SqliteError;
    return { message, errcode };
  },
});
