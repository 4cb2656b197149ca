/**
 * Keeps zod from compiling its schemas, which the content security policy forbids. It is imported before everything that defines
 * schemas, because each takes note of this when it is made.
 */
import { config } from "zod";

config({ jitless: true });
