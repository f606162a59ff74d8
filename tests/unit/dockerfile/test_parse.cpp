#include "dockerfile/parse.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace slipway::dockerfile;
using Words = std::vector<std::string>;

namespace {

Dockerfile parsed(std::string_view text) {
    auto result = parse(text, "Dockerfile");
    if (!result) {
        FAIL(result.error().message);
    }
    return *std::move(result);
}

// The one instruction after FROM.
Instruction only(const std::string& text) {
    Dockerfile file = parsed("FROM x\n" + text);
    REQUIRE(file.instructions.size() == 2);
    return file.instructions[1];
}

slipway::Error refused(std::string_view text) {
    auto result = parse(text, "Dockerfile");
    REQUIRE_FALSE(result);
    REQUIRE(result.error().code == "dockerfileissue");
    REQUIRE(result.error().klass == slipway::ErrorClass::build);
    REQUIRE(result.error().where);
    return result.error();
}

} // namespace

TEST_CASE("An instruction knows its keyword, text and place") {
    const Dockerfile file = parsed("# a comment\n\nFROM x\n  run  echo hi  \n");
    REQUIRE(file.instructions.size() == 2);
    const Instruction& run = file.instructions[1];
    CHECK(run.keyword == "RUN");
    CHECK(run.text == "run  echo hi");
    CHECK(run.rest == "echo hi");
    CHECK(run.raw == "  run  echo hi  ");
    CHECK(run.line == 4);
    CHECK(run.end_line == 4);
    CHECK(run.column == 3);
    CHECK(run.arguments == Words{"echo hi"});
    CHECK_FALSE(run.json);
}

TEST_CASE("Lines are continued over comments and empty lines") {
    const Dockerfile file = parsed("FROM x\nRUN a && \\\n  # why\n\n  b \\  \n\t&& c\nUSER u\n");
    REQUIRE(file.instructions.size() == 3);
    const Instruction& run = file.instructions[1];
    CHECK(run.text == "RUN a &&   b \t&& c");
    CHECK(run.raw == "RUN a && \\\n  # why\n\n  b \\  \n\t&& c");
    CHECK(run.line == 2);
    CHECK(run.end_line == 6);
    CHECK(file.instructions[2].line == 7);
    REQUIRE(file.notes.size() == 1);
    CHECK(file.notes[0].code == "emptycontinuation");
    CHECK(file.notes[0].line == 4);
}

TEST_CASE("A doubled continuation mark continues, as buildah reads it") {
    const Dockerfile file = parsed("FROM x\nLABEL a=b \\\\\n c=d\n");
    REQUIRE(file.instructions.size() == 2);
    REQUIRE(file.instructions[1].text == "LABEL a=b \\ c=d");
}

TEST_CASE("A continuation at the end of the file is forgiven") {
    REQUIRE(only("RUN a \\").text == "RUN a");
    REQUIRE(only("RUN a \\\n# c\n").text == "RUN a");
}

TEST_CASE("A byte order mark and CRLF line ends leave no trace") {
    const Dockerfile file = parsed("\xEF\xBB\xBF"
                                   "FROM x\r\nRUN a \\\r\n  b\r\nCOPY <<E /f\r\nt\r\nE\r\n");
    REQUIRE(file.instructions.size() == 3);
    CHECK(file.instructions[0].arguments == Words{"x"});
    CHECK(file.instructions[1].text == "RUN a   b");
    CHECK(file.instructions[2].heredocs.at(0).content == "t\n");
    CHECK(file.where(2).quote == "RUN a \\");
}

TEST_CASE("Directives are read at the top only") {
    const Dockerfile file =
        parsed("# syntax=docker/dockerfile:1\n# check=skip=all\n\n# escape=`\nFROM x\nRUN a \\\n b\n");
    REQUIRE(file.directives.size() == 2);
    CHECK(file.directives[0].name == "syntax");
    CHECK(file.directives[0].value == "docker/dockerfile:1");
    CHECK(file.directives[1].line == 2);
    CHECK(file.escape == '\\');
}

TEST_CASE("The escape directive changes the continuation mark") {
    const Dockerfile file = parsed("#Escape = `\nFROM x\nRUN dir c:\\\nRUN a `\n b\nENV a=b` c\n");
    CHECK(file.escape == '`');
    REQUIRE(file.instructions.size() == 4);
    CHECK(file.instructions[1].rest == "dir c:\\");
    CHECK(file.instructions[2].rest == "a  b");
    CHECK(file.instructions[3].assignments.at(0).value == "b` c");
}

TEST_CASE("An escape directive behind another one is not heeded, and noted") {
    const Dockerfile file = parsed("# syntax=x\n# escape=`\nFROM x\n");
    CHECK(file.escape == '\\');
    REQUIRE(file.notes.size() == 1);
    CHECK(file.notes[0].code == "escapeignored");
}

TEST_CASE("The JSON form is taken where it is one, else the shell form") {
    CHECK(only(R"(CMD ["a", "b c"])").arguments == Words{"a", "b c"});
    CHECK(only(R"(CMD ["a", "b c"])").json);
    CHECK(only("CMD [ -f x ] && y").arguments == Words{"[ -f x ] && y"});
    CHECK_FALSE(only("CMD ['a']").json);
    CHECK(only("ENTRYPOINT []").json);
    CHECK(only("ENTRYPOINT").arguments.empty());
    CHECK(only("RUN [\"a\", \\\n \"b\"]").arguments == Words{"a", "b"});
    CHECK(only(R"(COPY ["a b", "c/"])").arguments == Words{"a b", "c/"});
    CHECK(only(R"(VOLUME ["/a"])").arguments == Words{"/a"});
    CHECK(only("VOLUME /a /b").arguments == Words{"/a", "/b"});
}

TEST_CASE("Text behind a JSON array is noted") {
    const Dockerfile file = parsed("FROM x\nCMD [\"a\"] b\n");
    CHECK(file.instructions[1].arguments == Words{"a"});
    REQUIRE(file.notes.size() == 1);
    CHECK(file.notes[0].code == "jsontrailing");
}

TEST_CASE("Flags are told from arguments") {
    const Instruction copy = only("COPY --from=a --chown=\"b c\":d --link --exclude=x --exclude=y -- --z /");
    REQUIRE(copy.flags.size() == 5);
    CHECK(copy.flag("from")->value == "a");
    CHECK(copy.flag("chown")->value == "b c:d");
    CHECK_FALSE(copy.flag("link")->has_value);
    CHECK(copy.flag("exclude")->value == "y");
    CHECK(copy.flag("nothing") == nullptr);
    CHECK(copy.arguments == Words{"--z", "/"});
    const Instruction run = only("RUN --mount=type=cache,target=/c \\\n --network=none echo --x");
    CHECK(run.flags.size() == 2);
    CHECK(run.arguments == Words{"echo --x"});
}

TEST_CASE("ENV, LABEL and ARG split into names and values as written") {
    const Instruction env = only("ENV a=1 b=\"x y\" c=d\\ e f='g h' i=");
    REQUIRE(env.assignments.size() == 5);
    CHECK(env.assignments[1].name == "b");
    CHECK(env.assignments[1].value == "\"x y\"");
    CHECK(env.assignments[2].value == "d\\ e");
    CHECK(env.assignments[3].value == "'g h'");
    CHECK(env.assignments[4].value.empty());
    const Instruction old = only("ENV name  some value = more ");
    REQUIRE(old.assignments.size() == 1);
    CHECK(old.assignments[0].name == "name");
    CHECK(old.assignments[0].value == "some value = more");
    const Instruction arg = only("ARG a b=c d=\"e f\"");
    REQUIRE(arg.assignments.size() == 3);
    CHECK_FALSE(arg.assignments[0].has_value);
    CHECK(arg.assignments[2].value == "\"e f\"");
    CHECK(only("LABEL \"a.b\"=c d=e").assignments.size() == 2);
}

TEST_CASE("Here-documents are read with their names and manners") {
    const Instruction run = only("RUN <<EOF cat <<-'T' && x\na $b\nEOF\n\tc\n\t\td\n\tT\n");
    REQUIRE(run.heredocs.size() == 2);
    CHECK(run.heredocs[0].name == "EOF");
    CHECK(run.heredocs[0].content == "a $b\n");
    CHECK(run.heredocs[0].expand);
    CHECK(run.heredocs[0].line == 3);
    CHECK(run.heredocs[0].end_line == 4);
    CHECK(run.heredocs[1].name == "T");
    CHECK(run.heredocs[1].content == "c\nd\n");
    CHECK_FALSE(run.heredocs[1].expand);
    CHECK(run.heredocs[1].strip_tabs);
    CHECK(run.end_line == 7);
    CHECK(run.text == "RUN <<EOF cat <<-'T' && x");
    CHECK(run.raw.ends_with("\n\tT"));
}

TEST_CASE("Here-documents hold lines that look like instructions and comments") {
    const Dockerfile file =
        parsed("FROM x\nCOPY <<\"a b\" 3<<c /d/\n# no comment\nFROM y\\\na b\nc\nUSER u\n");
    REQUIRE(file.instructions.size() == 3);
    CHECK(file.instructions[1].heredocs[0].content == "# no comment\nFROM y\\\n");
    CHECK(file.instructions[1].heredocs[1].descriptor == 3);
    CHECK(file.instructions[1].heredocs[1].content.empty());
    CHECK(file.instructions[2].line == 7);
}

TEST_CASE("What only looks like a here-document is none") {
    for (const char* line :
         {"RUN cat <<<word", "RUN echo $((1<<2))", "RUN echo '<<EOF'", "RUN echo \"<<EOF\"",
          "RUN [\"cat\", \"<<EOF\"]", "CMD cat <<EOF", "RUN echo it's <<EOF", "RUN a ${x^^} <<EOF",
          "ENV a=<<EOF", "RUN echo \\<<EOF"}) {
        CAPTURE(line);
        CHECK(only(line).heredocs.empty());
    }
}

TEST_CASE("ONBUILD holds its trigger, here-documents included") {
    const Instruction onbuild = only("ONBUILD copy --chown=1 <<E /f\nx\nE\n");
    REQUIRE(onbuild.nested.size() == 1);
    CHECK(onbuild.nested[0].keyword == "COPY");
    CHECK(onbuild.nested[0].flags.size() == 1);
    CHECK(onbuild.nested[0].column == 9);
    CHECK(onbuild.nested[0].heredocs.at(0).content == "x\n");
    CHECK(onbuild.end_line == 4);
}

TEST_CASE("HEALTHCHECK holds its command") {
    const Instruction check = only("HEALTHCHECK --interval=5s --retries=3 cmd curl -f http://x");
    CHECK(check.flags.size() == 2);
    CHECK(check.arguments == Words{"curl -f http://x"});
    CHECK(check.nested.at(0).keyword == "CMD");
    CHECK(only("HEALTHCHECK CMD [\"a\"]").json);
    CHECK(only("HEALTHCHECK none").arguments == Words{"NONE"});
}

TEST_CASE("Every instruction of the reference is known, in any case") {
    for (const char* line :
         {"ADD a b",       "ARG a",         "CMD a",     "COPY a b",         "ENTRYPOINT a",
          "ENV a b",       "EXPOSE 1",      "FROM a",    "HEALTHCHECK NONE", "LABEL a=b",
          "MAINTAINER me", "ONBUILD RUN a", "RUN a",     "SHELL [\"a\"]",    "STOPSIGNAL 9",
          "USER a",        "VOLUME a",      "WORKDIR a", "from a AS b",      "Run a"}) {
        CAPTURE(line);
        CHECK(parse(std::string("FROM x\n") + line, "f"));
    }
}

TEST_CASE("Flags that buildah drops without a word are noted") {
    const Dockerfile file = parsed("FROM x\nCMD --help\n");
    REQUIRE(file.notes.size() == 1);
    CHECK(file.notes[0].code == "flagignored");
    CHECK(file.notes[0].line == 2);
}

TEST_CASE("Heredoc bodies in a file of UTF-16 are never reached: NUL bytes are refused with their place") {
    const slipway::Error error = refused(std::string_view("FROM x\nRUN a\0b\n", 15));
    CHECK(error.where->line == 2);
    CHECK(error.where->column == 6);
    const slipway::Error utf16 = refused(std::string_view("\xFF\xFE"
                                                          "F\0R\0O\0M\0",
                                                          10));
    CHECK(utf16.hint.contains("UTF-16"));
}

TEST_CASE("A file too large, a line too long and too many instructions are refused") {
    CHECK(refused(std::string(Limits::content_bytes + 1, '\n')).message.contains("larger than 16 MiB"));
    CHECK(refused("FROM x\nRUN " + std::string(Limits::line_bytes, 'x')).where->line == 2);
    std::string many = "FROM x\n";
    for (std::size_t i = 0; i < Limits::instructions; ++i) {
        many += "USER u\n";
    }
    CHECK(refused(many).message.contains("more than 100000 instructions"));
    std::string continued = "FROM x\nRUN a";
    for (int i = 0; i < 5; ++i) {
        continued += "\\\n" + std::string(1'000'000, 'y');
    }
    CHECK(refused(continued).message.contains("longer than 4 MiB"));
}

TEST_CASE("A quoted line is cut, so that no error carries megabytes") {
    const slipway::Error error = refused("FROM x\nNOPE " + std::string(1'000'000, 'x'));
    REQUIRE(error.where->quote.size() <= 400);
    REQUIRE(refused("FROM x\n" + std::string(1'000'000, 'x')).message.size() < 300);
}
