#include "lint/shell.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway::lint;

namespace {

/// "mount -a; chown x?": each command's words; `?` behind those whose failure is tolerated, `>target` for
/// files.
std::string commands(std::string_view script) {
    std::string out;
    scan_shell(script, [&](const ShellCommand& command) {
        out += out.empty() ? "" : "; ";
        std::string one;
        for (const ShellWord& word : command.words) {
            one += (one.empty() ? "" : " ") + word.text;
        }
        for (const ShellWord& word : command.written) {
            one += ">" + word.text;
        }
        out += one + (command.tolerated ? "?" : "");
    });
    return out;
}

} // namespace

TEST_CASE("commands stand behind every separator") {
    CHECK(commands("a && b; c | d & e\nf || g") == "a; b; c; d; e; f?; g");
    CHECK(commands("(a; b) && { c; d; }") == "a; b; c; d");
    CHECK(commands("a |& b") == "a; b");
    CHECK(commands("  ") == "");
}

TEST_CASE("keywords and assignments are no commands, what follows them is") {
    CHECK(commands("if a; then b; elif c; then d; else e; fi") == "a?; b; c?; d; e");
    CHECK(commands("while ! a; do b; done; until c; do d; done") == "a?; b; c?; d");
    CHECK(commands("for mount in a b; do use $mount; done") == "for mount in a b; use $mount");
    CHECK(commands("A=1 B='x y' a c=d") == "a c=d");
    CHECK(commands("A=1") == "");
    CHECK(commands("time a; ! b") == "a; b?");
    CHECK(commands("f() { a; }; function g { b; }") == "a; g { b");
    CHECK(commands("x=(mount a b); c") == "c");
}

TEST_CASE("patterns of case are no commands") {
    CHECK(commands("case $x in mount) a ;; (b|umount) c; d ;; *) e ;; esac; f") == "a; c; d; e; f");
    CHECK(commands("case x in a) case y in b) c;; esac;; d) e;; esac; f") == "c; e; f");
}

TEST_CASE("strings and comments are not looked into") {
    CHECK(commands("echo 'a; mount b' \"c && mount d\"") == "echo a; mount b c && mount d");
    CHECK(commands("a # mount b; c\nd") == "a; d");
    CHECK(commands("a#b; echo \\# c") == "a#b; echo # c");
    CHECK(commands("a \\; mount") == "a ; mount");
    CHECK(commands("\"if\" a") == "if a");
    CHECK(commands("echo $'it\\'s; mount' x") == "echo $ x");
}

TEST_CASE("substitutions are scripts of their own") {
    CHECK(commands("a $(b; c) d") == "b; c; a $ d");
    CHECK(commands("a \"x $(b \"y\") z\" `c`") == "b y; c; a x $ z $");
    CHECK(commands("a ${x:-$(b; c)} $((1 << 3)) e") == "a $ $ e");
    CHECK(commands("((i = 1 << 2)); a") == "a");
    CHECK(commands("diff <(a) >(b)") == "a; b; diff");
}

TEST_CASE("redirections are no arguments") {
    CHECK(commands("a >/x 2>&1 b") == "a b>/x");
    CHECK(commands("a 2> /x < y >>z") == "a>/x>z");
    CHECK(commands("a &>/x; b >| c; d 2>&- e") == "a>/x; b>c; d e");
    CHECK(commands(">/x") == ">/x");
    CHECK(commands("a <<< \"mount b\" c") == "a c");
}

TEST_CASE("here-documents are passed over") {
    CHECK(commands("cat <<EOF >/x\nmount a\nEOF\nb") == "cat>/x; b");
    CHECK(commands("cat <<-'E F'\n\tmount a\n\tE F\nb") == "cat; b");
    CHECK(commands("cat <<A <<B\nmount\nA\numount\nB\nb") == "cat; b");
    CHECK(commands("cat <<EOF\nmount a\n") == "cat");
}

TEST_CASE("what runs another command is taken off") {
    CHECK(commands("sudo -u root mount a") == "mount a");
    CHECK(commands("exec env -u X A=b nice -n 5 timeout -k 3 10 mount a") == "mount a");
    CHECK(commands("command -v mount") == "command -v mount");
    CHECK(commands("find . | xargs -0 -n 1 mount") == "find .; mount");
    CHECK(commands("sudo") == "");
}

TEST_CASE("help of || covers the whole list before it") {
    CHECK(commands("a && b || true; c") == "a?; b?; true; c");
    CHECK(commands("a || b && c") == "a?; b; c");
}

TEST_CASE("offsets name the word") {
    scan_shell("ab && sudo  mount x", [](const ShellCommand& command) {
        if (command.program() == "mount") {
            CHECK(command.words.front().offset == 12);
        }
    });
}

TEST_CASE("no script is too broken") {
    for (const char* script :
         {"'",  "\"", "`",   "$(",  "${", "$((", "((", ")",  ";;",        "case x in", "<<", "<<E",   "a <",
          "\\", "&&", "f()", "x=(", "$'", "$",   ">&", "2>", "esac esac", "\"$(\"`\"", "<(", "\n<<\n"}) {
        CHECK_NOTHROW(commands(script));
    }
    CHECK_NOTHROW(commands(std::string(1'000'000, '(')));
    CHECK_NOTHROW(commands(std::string(1'000'000, '`')));
    std::string deep;
    for (int i = 0; i < 100'000; ++i) {
        deep += "$(a \"";
    }
    CHECK_NOTHROW(commands(deep));
}
