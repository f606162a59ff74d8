#include "http/proxy.hpp"

#include "http/options.hpp"
#include "http/url.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstdlib>

namespace slipway::http {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(
        out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

/// 4 or 16 bytes, or nothing when `text` is not an address. IPv4-mapped IPv6 counts as IPv4.
std::vector<std::uint8_t> parse_address(const std::string& text) {
    std::array<std::uint8_t, 16> bytes{};
    if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
        return {bytes.begin(), bytes.begin() + 4};
    }
    if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) {
        constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        if (std::equal(mapped.begin(), mapped.end(), bytes.begin())) {
            return {bytes.begin() + 12, bytes.end()};
        }
        return {bytes.begin(), bytes.end()};
    }
    return {};
}

bool in_range(const std::vector<std::uint8_t>& address, const std::vector<std::uint8_t>& network,
              int prefix) {
    if (address.size() != network.size()) {
        return false;
    }
    for (std::size_t i = 0; i < address.size() && prefix > 0; ++i, prefix -= 8) {
        const unsigned mask = prefix >= 8 ? 0xffU : (0xff00U >> static_cast<unsigned>(prefix)) & 0xffU;
        if ((address[i] & mask) != (network[i] & mask)) {
            return false;
        }
    }
    return true;
}

template <class Number> std::optional<Number> number(std::string_view text, int least, int most) {
    int value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc() || end != text.data() + text.size() || value < least || value > most) {
        return std::nullopt;
    }
    return static_cast<Number>(value);
}

Result<std::optional<Proxy>> parse_proxy(const char* name, const char* raw) {
    const std::string_view text = trim(raw == nullptr ? "" : raw);
    if (text.empty()) {
        return std::optional<Proxy>();
    }
    const bool has_scheme = text.contains("://");
    // A bare host:port means http and, unlike a URL, port 80 only by that.
    const auto url = parse_url(has_scheme ? std::string(text) : "http://" + std::string(text));
    if (!url || url->https) {
        return fail_usage(std::string("the proxy in ") + name + " cannot be used",
                          "only HTTP proxies are supported: http://[user:password@]host:port");
    }
    return std::optional(Proxy{url->host, url->port, url->username, url->password});
}

} // namespace

Result<ProxyRules> ProxyRules::parse(const Lookup& lookup) {
    const auto first_of =
        [&](std::initializer_list<const char*> names) -> std::pair<const char*, const char*> {
        for (const char* name : names) {
            if (const char* value = lookup(name); value != nullptr && *value != '\0') {
                return {name, value};
            }
        }
        return {*names.begin(), nullptr};
    };
    ProxyRules rules;
    const auto [http_name, http_value] = first_of({"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"});
    TRY_ASSIGN(rules.http_, parse_proxy(http_name, http_value));
    const auto [https_name, https_value] = first_of({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
    TRY_ASSIGN(rules.https_, parse_proxy(https_name, https_value));

    const char* exceptions = first_of({"no_proxy", "NO_PROXY"}).second;
    std::string_view rest = exceptions == nullptr ? "" : exceptions;
    while (!rest.empty()) {
        const auto comma = rest.find_first_of(", ");
        std::string item = lower(trim(rest.substr(0, comma)));
        rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
        if (item.empty()) {
            continue;
        }
        Exception exception;
        if (item == "*") {
            exception.all = true;
            rules.exceptions_.push_back(std::move(exception));
            continue;
        }
        if (const auto slash = item.find('/'); slash != std::string::npos) {
            exception.address = parse_address(item.substr(0, slash));
            const auto prefix = number<int>(std::string_view(item).substr(slash + 1), 0,
                                            static_cast<int>(exception.address.size()) * 8);
            if (exception.address.empty() || !prefix) {
                continue; // as other tools do: what cannot be understood excepts nothing
            }
            exception.prefix = *prefix;
            rules.exceptions_.push_back(std::move(exception));
            continue;
        }
        // "[v6]:port", "v4:port", "name:port"; a bare IPv6 address has more than one colon.
        if (item.starts_with('[')) {
            const auto close = item.find(']');
            if (close == std::string::npos) {
                continue;
            }
            if (item.size() > close + 2 && item[close + 1] == ':') {
                exception.port =
                    number<std::uint16_t>(std::string_view(item).substr(close + 2), 1, 65535).value_or(0);
            }
            item = item.substr(1, close - 1);
        } else if (std::ranges::count(item, ':') == 1) {
            const auto colon = item.find(':');
            const auto port = number<std::uint16_t>(std::string_view(item).substr(colon + 1), 1, 65535);
            if (!port) {
                continue;
            }
            exception.port = *port;
            item.resize(colon);
        }
        exception.address = parse_address(item);
        if (!exception.address.empty()) {
            exception.prefix = static_cast<int>(exception.address.size()) * 8;
        } else {
            const auto start = item.find_first_not_of("*.");
            if (start == std::string::npos) {
                continue;
            }
            exception.name = item.substr(start);
        }
        rules.exceptions_.push_back(std::move(exception));
    }
    return rules;
}

Result<ProxyRules> ProxyRules::from_environment() {
    return parse([](const char* name) -> const char* { return std::getenv(name); });
}

bool ProxyRules::excepted(std::string_view host, std::uint16_t port) const {
    const std::string name = lower(host);
    const auto address = parse_address(name);
    if (name == "localhost" || (address.size() == 4 && address[0] == 127) || name == "::1") {
        return true;
    }
    return std::ranges::any_of(exceptions_, [&](const Exception& exception) {
        if (exception.all) {
            return true;
        }
        if (exception.port != 0 && exception.port != port) {
            return false;
        }
        if (!exception.address.empty()) {
            return in_range(address, exception.address, exception.prefix);
        }
        return name == exception.name || name.ends_with("." + exception.name);
    });
}

std::optional<Proxy> ProxyRules::proxy_for(bool https, std::string_view host, std::uint16_t port) const {
    const auto& proxy = https ? https_ : http_;
    if (!proxy || excepted(host, port)) {
        return std::nullopt;
    }
    return proxy;
}

std::optional<Proxy> ProxyRules::proxy_for(std::string_view url) const {
    const auto parsed = parse_url(url);
    return parsed ? proxy_for(parsed->https, parsed->host, parsed->port) : std::nullopt;
}

std::vector<std::string> ProxyRules::secrets() const {
    std::vector<std::string> out;
    for (const auto& proxy : {http_, https_}) {
        if (proxy && !proxy->password.empty() && !std::ranges::contains(out, proxy->password)) {
            out.push_back(proxy->password);
        }
    }
    return out;
}

Result<Options> Options::from_environment() {
    Options options;
    TRY_ASSIGN(options.proxies, ProxyRules::from_environment());
    if (const char* file = std::getenv("SSL_CERT_FILE"); file != nullptr) {
        options.ssl_cert_file = file;
    }
    return options;
}

} // namespace slipway::http
