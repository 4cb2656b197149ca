import { expect, test } from "vitest";
import { namingProblems } from "../../scripts/native-names.ts";

const names = (source: string) => namingProblems(source).map(({ line, name }) => `${line} ${name}`);

test("names that follow the rules pass", () => {
  const source = `
#define DRIFTLOCK_LIMIT 3
namespace driftlock::error_code {
constexpr std::size_t kLargest = 3;
inline constexpr std::array<std::uint8_t, 2> kTable = {1, 2};
constexpr double half(double x) { return x / 2; }
enum class Kind : std::uint8_t { None, Word = half(2, 1), Number, };
enum Flags { kOne, kTwo };
template <class Item> class Reader {
 public:
  std::vector<Item> items;
  explicit Reader(int size) : size_(size) {}
 private:
  enum class State : std::uint8_t { Open } state_ = State::Open;
  struct Entry { int id = 0; };
  bool full() const { return size_ == items.size(); }
  std::function<void(int)> done_;
  std::array<int, 3> counts_{};
  std::size_t size_ = 0, left_ = 0;
};
// A snake_case word in a comment, 'it_s', "and_in a_text", R"(and in_another)".
void use() { std::vector<int> all; all.push_back(std::numeric_limits<int>::max()); LZ4_initStream(nullptr, 0); }
}`;
  expect(names(source)).toEqual([]);
});

test("each name that breaks a rule is reported where it is declared or used", () => {
  expect(names("constexpr int largest = 3;")).toEqual(["1 largest"]);
  expect(names("static constexpr std::array<int, 2> all_of_them{1, 2};")).toEqual([
    "1 all_of_them",
    "1 all_of_them",
  ]);
  expect(names("enum class Kind { None,\n word };")).toEqual(["2 word"]);
  expect(names("enum Flags { One = 1, kTwo };")).toEqual(["1 One"]);
  expect(names("struct entry {};")).toEqual(["1 entry"]);
  expect(names("void add_line(int n);\nint x = other.add_line(2);")).toEqual(["1 add_line", "2 add_line"]);
  expect(
    names(
      "class A {\n  int size = 0;\n public:\n  int count;\n private:\n  bool full_, open;\n  int left;\n};",
    ),
  ).toEqual(["2 size", "6 open", "7 left"]);
});
