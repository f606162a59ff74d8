#include "cli/verbs.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace std::chrono_literals;

namespace {

const cli::Environment nothing = [](const std::string&) { return std::string(); };

cli::Environment with(std::map<std::string, std::string> variables) {
    return [variables = std::move(variables)](const std::string& name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::string() : found->second;
    };
}

template <class Params>
Params parse(const std::vector<std::string>& arguments, const cli::Environment& env = nothing) {
    const auto result = cli::parse(arguments, env);
    CAPTURE(result ? std::string("parsed") : result.error().message);
    REQUIRE(result);
    REQUIRE(std::holds_alternative<Params>(result->verb));
    return std::get<Params>(result->verb);
}

Error refused(const std::vector<std::string>& arguments, const cli::Environment& env = nothing) {
    const auto result = cli::parse(arguments, env);
    REQUIRE_FALSE(result);
    CHECK(result.error().klass == ErrorClass::usage);
    CHECK_FALSE(result.error().hint.empty());
    return result.error();
}

} // namespace

TEST_CASE("options come from argv, then from the environment, then from defaults") {
    const auto env = with({{"SLIPWAY_REVISION", "from-env"}, {"SLIPWAY_DEPTH", "7"}});
    const auto fetch = parse<cli::Fetch>({"fetch", "--url=https://a/b", "--revision=main"}, env);
    CHECK(fetch.url == "https://a/b");
    CHECK(fetch.revision == "main");
    CHECK(fetch.depth == 7);
    CHECK(fetch.retries == 3);
}

TEST_CASE("an empty value means not given, as Tekton passes unset parameters") {
    const auto fetch = parse<cli::Fetch>({"fetch", "--revision=", "--url=u", "--depth=", "--refspec", ""});
    CHECK(fetch.revision.empty());
    CHECK(fetch.depth == 1);
    const auto push = parse<cli::Push>({"push", "--image=r/a", "--tag=", "--tag=x"});
    CHECK(push.tags == std::vector<std::string>{"x"});
}

TEST_CASE("a value that looks like an option stays a value") {
    const auto fetch = parse<cli::Fetch>({"fetch", "--url=--into=/etc", "--revision=-x"});
    CHECK(fetch.url == "--into=/etc");
    CHECK(fetch.revision == "-x");
    CHECK(fetch.into.empty());
    const auto resolve =
        parse<cli::Resolve>({"resolve", "--build-arg=[a,b]=[c,d]", "--build-arg=E=--target=evil"});
    CHECK(resolve.build_args ==
          std::map<std::string, std::string>{{"[a,b]", "[c,d]"}, {"E", "--target=evil"}});
    CHECK(resolve.target.empty());
}

TEST_CASE("repeatable options are JSON arrays in the environment") {
    const auto env = with({{"SLIPWAY_BUILD_ARG", R"(["A=1","B=two words"])"}});
    const auto resolve = parse<cli::Resolve>({"resolve"}, env);
    CHECK(resolve.build_args == std::map<std::string, std::string>{{"A", "1"}, {"B", "two words"}});
    CHECK(refused({"resolve"}, with({{"SLIPWAY_BUILD_ARG", "A=1"}})).message.contains("SLIPWAY_BUILD_ARG"));
}

TEST_CASE("flags take true and false") {
    CHECK(parse<cli::Push>({"push", "--image=a", "--skip"}).skip);
    CHECK_FALSE(parse<cli::Push>({"push", "--image=a", "--skip=false"}).skip);
    CHECK_FALSE(parse<cli::Push>({"push", "--image=a", "--tls-verify=false"}).registry.tls_verify);
    CHECK(parse<cli::Push>({"push", "--image=a", "--tls-verify="}).registry.tls_verify);
    CHECK(refused({"push", "--image=a", "--skip=maybe"}).message.contains("--skip"));
}

TEST_CASE("common options are read for every step") {
    const auto result = cli::parse({"build", "--state=/s", "--heartbeat=2s", "--log-budget=1M",
                                    "--output=frames", "--result=IMAGE_URL=/r/u", "--result-budget=900"},
                                   nothing);
    REQUIRE(result);
    CHECK(result->common.state == "/s");
    CHECK(result->common.heartbeat == 2s);
    CHECK(result->common.log_budget == 1U << 20U);
    CHECK(result->common.output == cli::OutputMode::frames);
    CHECK(result->common.result_budget == 900);
    REQUIRE(result->common.results.size() == 1);
    CHECK(result->common.results[0].second == "/r/u");
}

TEST_CASE("run takes the union, retries under the step's name") {
    const auto run = parse<cli::Run>({"run", "--url=u", "--image=r/a", "--fetch-retries=1",
                                      "--push-retries=2", "--tls-verify=false", "--target=t"});
    CHECK(run.fetch.retries == 1);
    CHECK(run.push.retries == 2);
    CHECK_FALSE(run.resolve.registry.tls_verify);
    CHECK(run.resolve.target == "t");
}

TEST_CASE("what is not understood is refused by name") {
    CHECK(refused({"launch"}).message.contains("launch"));
    CHECK(refused({"fetch"}).message.contains("--url"));
    CHECK(refused({"fetch", "--url=u", "--depht=1"}).message.contains("depht"));
    CHECK(refused({"fetch", "--url=u", "--depth=-1"}).message.contains("--depth"));
    CHECK(refused({"fetch", "--url=u", "--depth=1x"}).message.contains("1x"));
    CHECK(refused({"fetch", "--url=u", "stray"}).message.contains("stray"));
    CHECK(refused({"fetch", "--url=u", "--timeout=soon"}).message.contains("soon"));
    CHECK(refused({"build", "--recipe=Z"}).message.contains("Z"));
    CHECK(refused({"build", "--label=bare"}).message.contains("--label: 'bare'"));
    CHECK(refused({"resolve", "--build-arg=NOVALUE"}).message.contains("NOVALUE"));
    CHECK(refused({"frames", "paint"}).message.contains("paint"));
    CHECK(refused({"run", "--url=u"}).message.contains("--image"));
}

TEST_CASE("help shows every option with type, default and environment name") {
    const auto result = cli::parse({"fetch", "--help"}, nothing);
    REQUIRE(result);
    const std::string& text = std::get<cli::Help>(result->verb).text;
    CHECK(text.contains("--depth=NUMBER"));
    CHECK(text.contains("default: 1; environment: SLIPWAY_DEPTH"));
    CHECK(text.contains("--result=NAME=PATH"));
    CHECK(std::holds_alternative<cli::Help>(cli::parse({}, nothing)->verb));
}

TEST_CASE("frames takes a file after its action") {
    const auto frames = parse<cli::Frames>({"frames", "check", "a.zst"});
    CHECK(frames.action == cli::Frames::Action::check);
    CHECK(frames.file == "a.zst");
    CHECK(parse<cli::Frames>({"frames", "render"}).file == "-");
    CHECK(parse<cli::Frames>({"frames", "render", "--", "-odd-name"}).file == "-odd-name");
}

TEST_CASE("what a build is given reaches it, by run as well") {
    const std::vector<std::string> options{"--secret-env=token=/s/token",
                                           "--ssh=/s/key",
                                           "--ssh=deploy=/s/other",
                                           "--squash",
                                           "--timestamp=0",
                                           "--network=none",
                                           "--cache-from=r/a",
                                           "--cache-from=",
                                           "--cache-to=r/b",
                                           "--cache-ttl=24h",
                                           "--labels-file=/s/labels",
                                           "--annotations-file=/s/notes"};
    std::vector<std::string> one{"build"};
    std::vector<std::string> all{"run", "--url=u", "--skip", "--build-context=docs=d"};
    one.insert(one.end(), options.begin(), options.end());
    all.insert(all.end(), options.begin(), options.end());
    const auto run = parse<cli::Run>(all);
    CHECK(run.resolve.build_contexts == std::map<std::string, std::string>{{"docs", "d"}});
    for (const cli::Build& build : {parse<cli::Build>(one), run.build}) {
        CHECK(build.secret_env == std::map<std::string, std::string>{{"token", "/s/token"}});
        CHECK(build.ssh == std::vector<std::string>{"/s/key", "deploy=/s/other"});
        CHECK(build.squash);
        CHECK(build.timestamp == "0");
        CHECK(build.network == "none");
        CHECK_FALSE(build.hermetic);
        CHECK(build.cache_from == std::vector<std::string>{"r/a"});
        CHECK(build.cache_to == std::vector<std::string>{"r/b"});
        CHECK(build.cache_ttl == 24h);
        CHECK(build.labels_file == "/s/labels");
        CHECK(build.annotations_file == "/s/notes");
    }
}

TEST_CASE("index wants a name and images to put under it") {
    const auto index =
        parse<cli::Index>({"index", "--image=r/a:1", "--from=r/a@x", "--from=r/a@y", "--tag=2"});
    CHECK(index.from == std::vector<std::string>{"r/a@x", "r/a@y"});
    CHECK(index.tags == std::vector<std::string>{"2"});
    CHECK(index.format == "auto");
    CHECK(refused({"index", "--from=r/a@x"}).message.contains("--image"));
    CHECK(refused({"index", "--image=r/a"}).message.contains("--from"));
}
