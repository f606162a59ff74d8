// What callers with arrays and with buildah's options give: --lists and --buildah-args.
#include "cli/buildah_args.hpp"
#include "cli/verbs.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;

namespace {

const cli::Environment nothing = [](const std::string&) { return std::string(); };

template <class Params> Params parse(const std::vector<std::string>& arguments) {
    const auto result = cli::parse(arguments, nothing);
    CAPTURE(result ? std::string("parsed") : result.error().message);
    REQUIRE(result);
    return std::get<Params>(result->verb);
}

std::string refusal(const std::vector<std::string>& arguments) {
    const auto result = cli::parse(arguments, nothing);
    REQUIRE_FALSE(result);
    CHECK(result.error().klass == ErrorClass::usage);
    return result.error().message;
}

using Strings = std::vector<std::string>;

} // namespace

TEST_CASE("a single list takes every argument that follows as a value") {
    const auto resolve = parse<cli::Resolve>({"resolve", "--target=a", "--lists=build-arg", "A=1",
                                              "--target=b", "--lists=build-arg=2", "", "A B=$(x)"});
    CHECK(resolve.target == "a");
    CHECK(resolve.build_args ==
          std::map<std::string, std::string>{
              {"A", "1"}, {"--target", "b"}, {"--lists", "build-arg=2"}, {"A B", "$(x)"}});
}

TEST_CASE("several lists are separated, and a value like the separator is refused") {
    const auto build = parse<cli::Build>(
        {"build", "--lists=label,annotation,secret", "a=1", "b=2", "--", "--", "id=x,src=/x"});
    CHECK(build.labels.size() == 2);
    CHECK(build.annotations.empty());
    CHECK(build.secrets == Strings{"id=x,src=/x"});
    CHECK(refusal({"build", "--lists=label,annotation", "a=1", "--", "--", "b=2"}).contains("separated"));
    CHECK(refusal({"build", "--lists=label,annotation", "a=1"}).contains("separated"));
    CHECK(refusal({"build", "--lists=label,storage", "--"}).contains("--lists"));
    CHECK(refusal({"build", "--lists=", "x"}).contains("--lists"));
}

TEST_CASE("a list adds to what the option itself was given") {
    const auto push =
        parse<cli::Push>({"push", "--image=r/a", "--tag=one", "--lists=tag", "two", "--", "--skip"});
    CHECK(push.tags == Strings{"one", "two", "--", "--skip"});
    CHECK_FALSE(push.skip);
}

TEST_CASE("comma-separated values lose the blanks around them") {
    const auto fetch =
        parse<cli::Fetch>({"fetch", "--url=https://a/b", "--sparse-list= docs , src,,", "--sparse=x"});
    CHECK(fetch.sparse == Strings{"x", "docs", "src"});
    CHECK(parse<cli::Fetch>({"fetch", "--url=https://a/b", "--submodule-list="}).submodule_paths.empty());
}

TEST_CASE("what is there already is a source only where that was allowed") {
    CHECK(parse<cli::Fetch>({"fetch", "--into=/x", "--allow-existing=true"}).url.empty());
    CHECK(refusal({"fetch", "--into=/x"}).contains("no source"));
    CHECK(refusal({"fetch", "--allow-existing=true"}).contains("no source"));
}

TEST_CASE("buildah's options become ours, each in the verb it concerns") {
    const Strings text{
        "--buildah-args=--build-arg 'A=b c' --label=x=y --target \"last\" --no-cache --pull=always -q"};
    const auto resolve = parse<cli::Resolve>({"resolve", text[0]});
    CHECK(resolve.build_args == std::map<std::string, std::string>{{"A", "b c"}});
    CHECK(resolve.target == "last");
    const auto build = parse<cli::Build>({"build", text[0]});
    CHECK(build.labels == std::map<std::string, std::string>{{"x", "y"}});
    CHECK_FALSE(
        parse<cli::Push>({"push", "--image=r/a", "--buildah-args=--tls-verify=false"}).registry.tls_verify);
}

TEST_CASE("buildah's options that mean something else here are refused by name") {
    for (const char* text :
         {"--volume=/:/host", "-v /:/host", "--cap-add=ALL", "--label", "; rm -rf /", "$(id)", "`id`",
          "--label=a=$HOME", "\"--label=$HOME\"", "'--label=a", "a|b", "x\\", "--"}) {
        CAPTURE(text);
        CHECK(refusal({"build", std::string("--buildah-args=") + text}).starts_with("--buildah-args"));
    }
}

TEST_CASE("words are split as a shell splits them, and nothing is expanded") {
    const auto words = cli::translate_buildah_args(
        "  --label 'a=$HOME;x'\\''y'  --label=\"q=\\\"\\$\\\\ *\" \n --build-arg=\\;= ");
    REQUIRE(words);
    CHECK(*words == Strings{"--label=a=$HOME;x'y", "--label=q=\"$\\ *", "--build-arg=;="});
}
