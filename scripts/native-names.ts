/**
 * Checks the names of native code, as docs/CODING_STANDARDS.md has them: native-names.ts FILE...
 * It reads tokens, not C++: a construct that it does not know passes.
 */
import { readFileSync } from "node:fs";
import process from "node:process";

export interface NamingProblem {
  line: number;
  name: string;
  /** What the name should be. */
  rule: string;
}

interface Token {
  text: string;
  line: number;
}

const types = "a type is PascalCase";
const constants = "a constexpr variable, or an enumerator of a plain enum, is kName";
const enumerators = "an enumerator of an enum class is PascalCase";
const others = "functions, variables and members are camelCase";
const members = "a private member ends with an underscore";

/** Names of C libraries, of what they call, and of the systems they come from. */
const foreign =
  /^(driftlock_openzl|LZ4|LZ4F|ZSTD|ZL|ZDICT|XXH|napi|node_api|pthread|tv|ru|gz|z|d)_|^(avail|next|total)_(in|out)$|^(set_log_errors|set_max_mem|error_code)$/;
/** Members and types of the standard library that are named without `std::`, and those that it looks for in our types. */
const standard = new Set(
  (
    "push_back emplace_back emplace_front pop_back pop_front push_front shrink_to_fit starts_with ends_with " +
    "find_first_of find_first_not_of find_last_of find_if try_emplace insert_or_assign lower_bound upper_bound " +
    "remove_prefix remove_suffix what_arg has_value value_or notify_one notify_all wait_for wait_until time_since_epoch " +
    "fetch_add fetch_sub compare_exchange_weak compare_exchange_strong value_type difference_type size_type " +
    "iterator_category iterator_concept const_iterator is_open max_size steady_clock is_always_lock_free " +
    "iterator static_assert static_cast reinterpret_cast const_cast dynamic_cast thread_local " +
    "c_str quiet_NaN size_bytes get_future set_value always_inline vector_size maybe_unused no_unique_address uint8_t uint16_t uint32_t uint64_t int8_t int16_t int32_t int64_t size_t ptrdiff_t bad_alloc key_equal"
  ).split(" "),
);

const labels = ["public", "private", "protected"];
/** What a statement of a class begins with that declares no member of an object. */
const notMembers = [
  ...labels,
  ..."using friend static struct class enum union template constexpr".split(" "),
];

/** The tokens of a source without its comments, texts and preprocessor lines. */
function tokensOf(source: string): Token[] {
  const blank = (text: string) => text.replace(/[^\n]/g, " ");
  const code = source
    .replace(
      /\/\/[^\n]*|\/\*[\s\S]*?\*\/|R"(\w*)\([\s\S]*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'/g,
      blank,
    )
    .replace(/^[ \t]*#(?:\\\n|[^\n])*/gm, blank);
  const tokens: Token[] = [];
  let line = 1;
  for (const [text] of code.matchAll(/\n|[A-Za-z_]\w*|\d[\w'.]*|::|->|[^\s\w]/g)) {
    if (text === "\n") line++;
    else tokens.push({ text, line });
  }
  return tokens;
}

const isWord = (token: Token | undefined) => token !== undefined && /^[A-Za-z_]/.test(token.text);

/** The names of a source that break the rules, in its order. */
export function namingProblems(source: string): NamingProblem[] {
  const tokens = tokensOf(source);
  const at = (i: number) => tokens[i]?.text ?? "";
  const problems: NamingProblem[] = [];
  const expect = (i: number, pattern: RegExp, rule: string) => {
    const token = tokens[i];
    if (token && !pattern.test(token.text)) problems.push({ line: token.line, name: token.text, rule });
  };
  /** The word that a declaration gives a name to: the last one before its initializer or end; none of a function. */
  const declared = (from: number) => {
    for (let i = from, depth = 0; i < tokens.length; i++) {
      if (at(i) === "<") depth++;
      if (at(i) === ">") depth--;
      if (depth === 0 && at(i) === "(") return -1;
      if (depth <= 0 && ["=", "{", ";", "[", ":"].includes(at(i))) return isWord(tokens[i - 1]) ? i - 1 : -1;
    }
    return -1;
  };

  /** For each open brace whether it is that of a class, and then whether its members are private here. */
  const scopes: { isClass: boolean; isPrivate: boolean }[] = [];
  let opens: { isClass: boolean; isPrivate: boolean } | undefined;
  for (let i = 0; i < tokens.length; i++) {
    const word = at(i);
    const scope = scopes.at(-1);
    if (word === "constexpr" && at(i - 1) !== "if") {
      const name = declared(i + 1);
      if (name > i) expect(name, /^k[A-Z0-9]/, constants);
    } else if (["class", "struct", "union"].includes(word) && !["<", ",", "enum"].includes(at(i - 1))) {
      if (isWord(tokens[i + 1]) && !standard.has(at(i + 1))) expect(i + 1, /^[A-Z]/, types);
      opens = { isClass: true, isPrivate: word === "class" };
    } else if (word === "enum" && at(i - 1) !== "using") {
      const scoped = ["class", "struct"].includes(at(i + 1));
      const name = i + (scoped ? 2 : 1);
      if (isWord(tokens[name])) expect(name, /^[A-Z]/, types);
      let k = name;
      while (k < tokens.length && at(k) !== "{" && at(k) !== ";") k++;
      const pattern = scoped ? /^[A-Z][A-Za-z0-9]*$/ : /^k[A-Z0-9]/;
      const rule = scoped ? enumerators : constants;
      // An enumerator follows the brace or a comma; what it is equal to may hold commas in parentheses.
      for (let depth = 0, begins = true; at(k) === "{" || (k < tokens.length && at(k) !== "}"); k++) {
        if (at(k) === "(") depth++;
        if (at(k) === ")") depth--;
        if (begins && isWord(tokens[k])) expect(k, pattern, rule);
        begins = depth === 0 && (at(k) === "," || at(k) === "{");
      }
    } else if (word === ";" || word === "(") {
      opens = undefined;
    } else if (word === "{") {
      scopes.push(opens ?? { isClass: false, isPrivate: false });
      opens = undefined;
    } else if (word === "}") {
      scopes.pop();
    } else if (scope?.isClass && labels.includes(word) && at(i + 1) === ":") {
      scope.isPrivate = word !== "public";
    }
    // A statement of a class's body begins behind the one before it, or behind a label.
    const begins = ["{", ";", "}"].includes(at(i - 1)) || (at(i - 1) === ":" && labels.includes(at(i - 2)));
    if (scope?.isPrivate && begins && isWord(tokens[i]) && !notMembers.includes(word)) {
      const name = declared(i);
      if (name > i) expect(name, /_$/, members);
    }
    if (/^[A-Za-z]\w*_\w/.test(word) && /[a-z]/.test(word) && !foreign.test(word) && !standard.has(word)) {
      if (at(i + 1) === "::") continue;
      let root = i;
      while (at(root - 1) === "::" && isWord(tokens[root - 2])) root -= 2;
      if (at(root) !== "std" && at(root - 1) !== "namespace") expect(i, /^[A-Za-z][A-Za-z0-9]*_?$/, others);
    }
  }
  return problems;
}

if (import.meta.main) {
  let count = 0;
  for (const file of process.argv.slice(2)) {
    for (const { line, name, rule } of namingProblems(readFileSync(file, "utf8"))) {
      console.error(`${file}:${line}: ${name}: ${rule}`);
      count++;
    }
  }
  if (count > 0) process.exitCode = 1;
}
