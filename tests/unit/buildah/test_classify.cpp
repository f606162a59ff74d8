#include "buildah/lines.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace slipway;
using namespace slipway::buildah;

namespace {

Error classify(std::string line, Verb verb = Verb::build, std::vector<std::string> helper = {},
               int exit_code = 125) {
    Ending ending;
    ending.verb = verb;
    ending.tail = {std::move(line)};
    ending.helper_tail = std::move(helper);
    ending.exit_code = exit_code;
    return classify_failure(ending);
}

struct Expected {
    const char* line;
    ErrorClass klass;
    std::string_view code;
    bool transient = false;
};

} // namespace

TEST_CASE("a RUN's exit code is the author's affair and comes through") {
    const Error error = classify("Error: building at STEP \"RUN exit 7\": exit status 7", Verb::build,
                                 {"subprocess exited with status 7", "subprocess exited with status 7"}, 7);
    CHECK(error.klass == ErrorClass::build);
    CHECK(error.code == code::build_error);
    CHECK(error.child_exit == 7);
    CHECK(error.message == "exit code 7: RUN exit 7");
    const Error oci = classify("Error: building at STEP \"RUN false\": while running runtime: exit status 1");
    CHECK(oci.child_exit == 1);
    CHECK(classify("Error: building at STEP \"RUN nosuch\": exit status 127").hint.contains("not found"));
}

TEST_CASE("a helper that did not start is not the command's failure") {
    const Error error =
        classify("Error: building at STEP \"RUN make\": exit status 1", Verb::build,
                 {"sealing memfd copy: Device or resource busy", "subprocess exited with status 1"});
    CHECK(error.klass == ErrorClass::internal);
    CHECK(error.transient);
}

TEST_CASE("a runtime that did not start is not the command's failure") {
    for (const std::string why :
         {"create keyring `buildah-buildah42`: Operation not permitted", "clone: Operation not permitted",
          "cgroups in hybrid mode not supported, drop all controllers from cgroupv2"}) {
        CAPTURE(why);
        const Error error = classify(
            "Error: building at STEP \"RUN make\": while running runtime: exit status 1", Verb::build,
            {"error running container: from /usr/bin/crun creating container for [/bin/sh -c make]: " + why,
             ": exit status 1"});
        CHECK(error.code == code::pod_forbids);
        CHECK(error.hint.contains("--isolation=chroot"));
    }
}

TEST_CASE("a killed RUN is told from a failed one") {
    Ending ending;
    ending.tail = {"Error: building at STEP \"RUN make\": exit status 1"};
    ending.helper_tail = {"subprocess exited on killed", "subprocess exited with status 1"};
    ending.exit_code = 1;
    CHECK(classify_failure(ending).klass == ErrorClass::build);
    CHECK(classify_failure(ending).message == "killed by a signal: RUN make");
    CHECK_FALSE(classify_failure(ending).child_exit);
    ending.helper_tail = {"subprocess exited on segmentation fault", "subprocess exited with status 1"};
    CHECK(classify_failure(ending).message == "ended by a signal (segmentation fault): RUN make");
    ending.helper_tail = {"subprocess exited on killed", "subprocess exited with status 1"};
    ending.oom_killed = true;
    CHECK(classify_failure(ending).code == code::out_of_memory);
    ending.tail = {"Error: building at STEP \"RUN make\": exit status 137"};
    CHECK(classify_failure(ending).code == code::out_of_memory);
}

TEST_CASE("a command that fails because one of its own processes was killed ran out of memory as well") {
    Ending ending;
    ending.tail = {"Error: building at STEP \"RUN make -j\": exit status 2"};
    ending.helper_tail = {"make: *** [all] Error 1", "subprocess exited with status 2",
                          "subprocess exited with status 2"};
    ending.exit_code = 2;
    CHECK(classify_failure(ending).code == code::build_error);
    ending.oom_killed = true;
    const Error error = classify_failure(ending);
    CHECK(error.klass == ErrorClass::resource);
    CHECK(error.code == code::out_of_memory);
    CHECK(error.child_exit == 2);
}

TEST_CASE("what a command prints is neither a refusal by the pod nor a signal") {
    for (const char* printed : {"error setting supplemental groups list: operation not permitted",
                                "process failed to start with error: fork/exec /x: no such file or directory",
                                "subprocess exited on killed"}) {
        INFO(printed);
        const Error error =
            classify("Error: building at STEP \"RUN it\": exit status 1", Verb::build,
                     {printed, "subprocess exited with status 1", "subprocess exited with status 1"});
        CHECK(error.klass == ErrorClass::build);
        CHECK(error.message == "exit code 1: RUN it");
    }
    // Its last line may lack a newline.
    const Error error = classify("Error: building at STEP \"RUN it\": exit status 1", Verb::build,
                                 {"error setting supplemental groups list: subprocess exited with status 1",
                                  "subprocess exited with status 1"});
    CHECK(error.klass == ErrorClass::build);
}

TEST_CASE("a RUN that cannot start says why") {
    const Error error =
        classify("Error: building at STEP \"RUN /nosuch\": exit status 1", Verb::build,
                 {"process failed to start with error: fork/exec /nosuch: no such file or directory",
                  "process exited with error: exec: not started", "subprocess exited with status 1"});
    CHECK(error.klass == ErrorClass::build);
    CHECK(error.message == "cannot be started: RUN /nosuch");
    const Error capabilities =
        classify("Error: building at STEP \"RUN id\": exit status 1", Verb::build,
                 {"error setting capabilities for process: setting capabilities: operation not permitted",
                  "subprocess exited with status 1"});
    CHECK(capabilities.klass == ErrorClass::pod);
    const Error read_only =
        classify("Error: building at STEP \"RUN id\": exit status 1", Verb::build,
                 {"error stat()ing intended root directory \"/w/tmp/mnt/rootfs\": no such file or directory",
                  "subprocess exited with status 1"});
    CHECK(read_only.klass == ErrorClass::pod);
}

TEST_CASE("the Dockerfile's own words are no errors") {
    Ending ending;
    ending.step = "RUN echo \": no space left on device: manifest unknown\" && false";
    ending.tail = {"Error: building at STEP \"" + ending.step + "\": exit status 3"};
    ending.exit_code = 3;
    const Error error = classify_failure(ending);
    CHECK(error.code == code::build_error);
    CHECK(error.child_exit == 3);
}

TEST_CASE("what earlier RUNs printed does not count") {
    std::vector<std::string> helper(40, "error setting supplemental groups list: operation not permitted");
    for (int i = 0; i < 4; ++i) {
        helper.emplace_back("gcc: error");
    }
    CHECK(classify("Error: building at STEP \"RUN make\": exit status 2", Verb::build, helper).klass ==
          ErrorClass::build);
}

TEST_CASE("texts of buildah 1.39.3 while pulling are understood") {
    const Expected table[] = {
        {"Error: initializing source docker://r/x:1: reading manifest 1 in r/x: denied", ErrorClass::auth,
         code::registry_auth},
        {"Error: initializing source docker://r/x:1: reading manifest 1 in r/x: unauthorized",
         ErrorClass::auth, code::registry_auth},
        {"Error: initializing source docker://r/x:1: reading manifest 1 in r/x: toomanyrequests: You have "
         "reached your pull rate limit",
         ErrorClass::registry, code::cannot_pull_base_image, true},
        {"Error: initializing source docker://r/x:1: reading manifest 1 in r/x: received unexpected HTTP "
         "status: 503 Service Unavailable",
         ErrorClass::registry, code::cannot_pull_base_image, true},
        {"Error: initializing source docker://r/x:1: reading manifest 1 in r/x: name unknown",
         ErrorClass::build, code::cannot_pull_base_image},
        {"Error: initializing source docker://r/x:1: reading manifest nope in r/x: manifest unknown",
         ErrorClass::build, code::cannot_pull_base_image},
        {"Error: choosing an image from manifest list docker://r/x: no image found in image index for "
         "architecture \"arm64\", variant \"\", OS \"linux\"",
         ErrorClass::build, code::cannot_pull_base_image},
        {"Error: pinging container registry r: Get \"https://r/v2/\": tls: failed to verify certificate: "
         "x509: certificate signed by unknown authority",
         ErrorClass::network, code::network},
        {"Error: pinging container registry r: Get \"https://r/v2/\": tls: first record does not look like a "
         "TLS handshake",
         ErrorClass::network, code::network},
        {"Error: pinging container registry r: Get \"https://r/v2/\": dial tcp: lookup r on 10.0.0.1:53: no "
         "such host",
         ErrorClass::network, code::network},
        {"Error: pinging container registry r: Get \"https://r/v2/\": dial tcp 127.0.0.1:1: connect: "
         "connection refused",
         ErrorClass::network, code::network, true},
        {"Error: parsing reference \"docker://UPPER/x\": invalid reference format", ErrorClass::build,
         code::cannot_pull_base_image},
        {"Error: credential file is not accessible: faccessat /nosuch: no such file or directory",
         ErrorClass::usage, code::missing_or_invalid_argument},
        {"Error: writing blob: storing blob to file \"/w/tmp/1\": write /w/tmp/1: no space left on device",
         ErrorClass::resource, code::out_of_disk},
        {"Error: writing blob: adding layer with blob \"sha256:25\": ApplyLayer stdout:  stderr: remount /, "
         "flags: 0x44000: operation not permitted exit status 1",
         ErrorClass::pod, code::pod_forbids},
        {"Error: writing blob: adding layer: unpacking failed (error: exit status 1; output: after fallback "
         "to chroot: operation not permitted)",
         ErrorClass::pod, code::pod_forbids},
        {"Error: writing blob: adding layer with blob \"sha256:90\"/\"\"/\"sha256:a7\": unpacking failed "
         "(error: exit status 1; output: operation not permitted)",
         ErrorClass::pod, code::pod_forbids},
        {"Error: unpacking failed (error: exit status 1; output: potentially insufficient UIDs or GIDs "
         "available in user namespace (requested 0:42 for /etc/shadow)",
         ErrorClass::pod, code::pod_forbids},
        {"Error: mount /w/graph/overlay:/w/graph/overlay, flags: 0x1000: operation not permitted",
         ErrorClass::pod, code::pod_forbids},
        {"Error: 'overlay' is not supported over overlayfs, a mount_program is required: backing file system "
         "is unsupported for this graph driver",
         ErrorClass::pod, code::pod_forbids},
        {"Error during unshare(CLONE_NEWUSER): Operation not permitted", ErrorClass::pod, code::pod_forbids},
        {"Error: error writing \"0 0 4294967295\\n\" to /proc/44/uid_map: write /proc/44/uid_map: operation "
         "not permitted",
         ErrorClass::pod, code::pod_forbids},
    };
    for (const Expected& row : table) {
        INFO(row.line);
        const Error error = classify(row.line, Verb::pull);
        CHECK(to_string(error.klass) == to_string(row.klass));
        CHECK(error.code == row.code);
        CHECK(error.transient == row.transient);
        CHECK_FALSE(error.message.empty());
        CHECK_FALSE(error.cause.empty());
    }
}

TEST_CASE("texts of buildah 1.39.3 about Dockerfiles are understood") {
    const Expected table[] = {
        {"Error: building at STEP \"COPY nofile /x\": checking on sources under \"/ctx\": copier: stat: "
         "\"/nofile\": no such file or directory",
         ErrorClass::build, code::context_issue},
        {"Error: building at STEP \"COPY --from=base /nosuch /x\": checking on sources under \"/w/merged\": "
         "copier: stat: \"/nosuch\": no such file or directory",
         ErrorClass::build, code::build_error},
        {"Error: building at STEP \"COPY ../../etc/passwd /x\": checking on sources under \"/ctx\": possible "
         "escaping context directory error: copier: stat: \"/etc/passwd\": no such file or directory",
         ErrorClass::build, code::context_issue},
        {"Error: COPY --from=nostage: no stage or image found with that name", ErrorClass::build,
         code::dockerfile_issue},
        {"Error: building at STEP \"FOO \": Build error: Unknown instruction: \"FOO\" &imagebuilder.Step{}",
         ErrorClass::build, code::dockerfile_issue},
        {"Error: no FROM statement found", ErrorClass::build, code::dockerfile_issue},
        {"Error: The target \"nope\" was not found in the provided Dockerfile", ErrorClass::build,
         code::dockerfile_issue},
        {"Error: building at STEP \"RUN id\": determining run uid: user: unknown user error looking up user "
         "\"nobodyx\"",
         ErrorClass::build, code::dockerfile_issue},
        {"Error: building at STEP \"COPY --chmod=zz f /\": Error parsing chmod zz", ErrorClass::build,
         code::dockerfile_issue},
        {"Error: building at STEP \"ADD http://h/x /x\": reading \"http://h/x\": invalid response status 404",
         ErrorClass::build, code::build_error},
        {"Error: building at STEP \"ADD http://h/x /x\": reading \"http://h/x\": Get \"http://h/x\": dial "
         "tcp 127.0.0.1:1: connect: connection refused",
         ErrorClass::network, code::network, true},
        {"Error: building at STEP \"RUN x\": resolving mountpoints for container \"73\": secret required but "
         "no secret with id \"zz\" found",
         ErrorClass::usage, code::missing_or_invalid_argument},
        {"Error: building at STEP \"WORKDIR /etc/passwd/x\": copier: mkdir: error checking directory "
         "\"/etc/passwd/x\": mkdir /etc/passwd/x: not a directory",
         ErrorClass::build, code::build_error},
        {"Error: creating build container: nosuchimage: image not known", ErrorClass::internal,
         code::cannot_pull_base_image},
        {"Error: unknown flag: --nosuch", ErrorClass::internal, code::internal_error},
    };
    for (const Expected& row : table) {
        INFO(row.line);
        const Error error = classify(row.line);
        CHECK(to_string(error.klass) == to_string(row.klass));
        CHECK(error.code == row.code);
        CHECK(error.transient == row.transient);
    }
    CHECK(classify(table[0].line).message == "the build context does not contain /nofile");
}

TEST_CASE("a pod's refusal is found behind the misleading last error") {
    Ending ending;
    ending.tail = {
        R"(time="t" level=warning msg="Error running newuidmap: exit status 1: newuidmap: write to uid_map failed: Operation not permitted\n")",
        "Error: creating build container: quay.io/x: image not known"};
    CHECK(classify_failure(ending).klass == ErrorClass::pod);
}

TEST_CASE("nothing at all is still an error with a name") {
    Ending ending;
    ending.exit_code = 1;
    CHECK(classify_failure(ending).klass == ErrorClass::internal);
    ending.signal = 9;
    CHECK(classify_failure(ending).message == "buildah was killed by signal 9");
    ending.oom_killed = true;
    CHECK(classify_failure(ending).code == code::out_of_memory);
}

TEST_CASE("hostile error text comes out as one harmless line") {
    const Error error = classify("Error: \x1b[2J\n\xff" + std::string(100'000, 'x'));
    CHECK(error.message.size() < 1000);
    CHECK(error.cause.size() < 7000);
    CHECK_FALSE(error.message.contains('\x1b'));
    CHECK_FALSE(error.message.contains('\n'));
}
