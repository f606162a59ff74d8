#include "base/encoding.hpp"
#include "frames/redact.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

using namespace slipway;
using namespace slipway::frames;

namespace {

const std::string pem = "-----BEGIN OPENSSH PRIVATE KEY-----\n"
                        "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
                        "QyNTUxOQAAACD3lpoKbQ\n"
                        "yQ==\n"
                        "-----END OPENSSH PRIVATE KEY-----\n";

/// The stream in chunks of `size`.
std::string stream(const Redactor& redactor, std::string_view text, std::size_t size) {
    Masker masker(redactor);
    std::string out;
    for (; !text.empty(); text.remove_prefix(std::min(size, text.size()))) {
        out += masker.feed(text.substr(0, size));
    }
    out += masker.finish();
    return out;
}

} // namespace

TEST_CASE("without secrets the very same bytes come back") {
    const Redactor redactor;
    Masker masker(redactor);
    const std::string text = "nothing to hide";
    CHECK(masker.feed(text).data() == text.data());
    CHECK(redactor.mask(text) == text);
}

TEST_CASE("a secret is masked wherever the chunks end") {
    Redactor redactor;
    REQUIRE(redactor.add("hunter2-hunter2"));
    const std::string text = "password=hunter2-hunter2; hunter2-hunter hunter2-hunter2hunter2-hunter2\n";
    for (std::size_t size = 1; size <= text.size(); ++size) {
        CHECK(stream(redactor, text, size) == "password=***; hunter2-hunter ******\n");
    }
}

TEST_CASE("what may be the beginning of a secret waits, anything else does not") {
    Redactor redactor;
    REQUIRE(redactor.add("s3cr3t-token"));
    Masker masker(redactor);
    CHECK(masker.feed("line s3cr") == "line ");
    CHECK(masker.held() == 4);
    CHECK(masker.feed("3t-") == "");
    CHECK(masker.feed("token and") == "*** and");
    CHECK(masker.held() == 0);
    CHECK(masker.feed(" s3c") == " ");
    CHECK(masker.feed("urity") == "s3curity");
    CHECK(masker.feed("s3c") == "");
    CHECK(masker.finish() == "s3c");
}

TEST_CASE("overlapping secrets are masked as one place") {
    Redactor redactor;
    REQUIRE(redactor.add("abcdef"));
    REQUIRE(redactor.add("defghi"));
    REQUIRE(redactor.add("cdef"));
    for (std::size_t size = 1; size < 16; ++size) {
        CHECK(stream(redactor, "1abcdefghi2", size) == "1***2");
    }
    std::uint64_t places = 0;
    CHECK(redactor.mask("abcdef abcdefghi cdef", &places) == "*** *** ***");
    CHECK(places == 3);
}

TEST_CASE("encoded forms of a secret are masked") {
    Redactor redactor;
    const std::string secret = "p@ss/w&rd <\"q\">+~%";
    REQUIRE(redactor.add(secret));
    const std::vector<std::string> forms{
        secret,
        percent_encode(secret),
        "p%40ss%2fw%26rd%20%3c%22q%22%3e%2b~%25",
        "p%40ss%2Fw%26rd+%3C%22q%22%3E%2B%7E%25",
        R"(p@ss/w&rd <\"q\">+~%)",
        R"(p@ss/w\u0026rd \u003c\"q\"\u003e+~%)",
    };
    for (const std::string& form : forms) {
        CHECK(redactor.mask("x " + form + " y") == "x *** y");
    }
    for (const std::string before : {"", "u", "us", "usr", "user:"}) {
        for (const std::string after : {"", "\n", ":x", "tail"}) {
            const std::string encoded = base64_encode(before + secret + after);
            const std::string masked = redactor.mask(encoded);
            INFO(before << '|' << after << '|' << masked);
            CHECK(masked.contains("***"));
            // Two characters at either end at most belong to the neighbours as well.
            CHECK(masked.size() <= 3 + 4 + (before.size() + after.size() + 2) * 4 / 3);
            std::string url = encoded;
            for (char& c : url) {
                c = c == '+' ? '-' : c == '/' ? '_' : c;
            }
            CHECK(redactor.mask(url).contains("***"));
        }
    }
}

TEST_CASE("a key of several lines is masked whole, by line, wrapped and as JSON") {
    Redactor redactor;
    REQUIRE(redactor.add(pem));
    for (const std::size_t size : {1U, 2U, 7U, 64U, 4096U}) {
        CHECK(stream(redactor, "before\n" + pem + "after\n", size) == "before\n***\nafter\n");
    }
    CHECK(redactor.mask("only b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW here") ==
          "only *** here");
    std::string json = pem.substr(0, pem.size() - 1);
    for (std::size_t at = json.find('\n'); at != std::string::npos; at = json.find('\n')) {
        json.replace(at, 1, "\\n");
    }
    CHECK(redactor.mask("{\"key\":\"" + json + "\\n\"}") == "{\"key\":\"***\\n\"}");
    const std::string encoded = base64_encode(pem);
    std::string wrapped;
    for (std::size_t at = 0; at < encoded.size(); at += 76) {
        wrapped += encoded.substr(at, 76) + '\n';
    }
    std::string masked = redactor.mask(wrapped);
    std::erase(masked, '*');
    std::erase(masked, '\n');
    CHECK(masked.size() <= 4);
}

TEST_CASE("short secrets are refused and white space around a secret does not matter") {
    Redactor redactor;
    CHECK_FALSE(redactor.add("abc"));
    CHECK_FALSE(redactor.add(" ab\n"));
    CHECK(redactor.add(""));
    CHECK(redactor.add(" \n"));
    CHECK(redactor.empty());
    CHECK(redactor.add("\tabcd\n"));
    CHECK(redactor.mask("abcd") == "***");
}

TEST_CASE("a secret learned while a stream runs counts from then on, held bytes included") {
    Redactor redactor;
    REQUIRE(redactor.add("first-secret"));
    Masker masker(redactor);
    CHECK(masker.feed("later first-") == "later ");
    REQUIRE(redactor.add("first-light"));
    REQUIRE(redactor.add("second-secret"));
    CHECK(masker.feed("light second-secret.") == "*** ***.");
}

TEST_CASE("a huge secret is looked for by its beginning and its lines") {
    Redactor redactor;
    std::string huge;
    for (int line = 0; line < 20'000; ++line) {
        huge += "secret line number " + std::to_string(line) + '\n';
    }
    REQUIRE(redactor.add(huge));
    CHECK(redactor.mask("x secret line number 19999 y") == "x *** y");
    CHECK(redactor.mask("x " + huge).size() < 20'000 * 5);
}
