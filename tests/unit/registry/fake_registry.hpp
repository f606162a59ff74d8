// A registry in memory, for what a well-behaved one never does: it fails on request. The protocol's good path
// is tested against a real registry (test_real_registry.cpp).
#pragma once

#include "digest/sha256.hpp"

#include <functional>
#include <httplib.h>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace slipway::registry::test {

class FakeRegistry {
  public:
    using Handler = std::function<bool(const httplib::Request&, httplib::Response&)>; ///< true = answered

    std::map<std::string, std::string> blobs;                             ///< digest → bytes
    std::map<std::string, std::pair<std::string, std::string>> manifests; ///< tag or digest → type, bytes
    std::vector<std::string> log;                                         ///< "METHOD path"
    Handler fault;                                                        ///< asked first

    FakeRegistry() {
        server_.set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
            const std::lock_guard lock(mutex_);
            log.push_back(request.method + " " + request.path);
            // Where a body comes, the handler asks once it is read.
            if (request.method != "PUT" && request.method != "PATCH" && request.method != "POST" &&
                faulty(request, response)) {
                return httplib::Server::HandlerResponse::Handled;
            }
            return httplib::Server::HandlerResponse::Unhandled;
        });
        server_.Get("/v2/", [](const httplib::Request&, httplib::Response&) {});
        server_.Get(R"(/v2/(.+)/manifests/(.+))", [this](const auto& in, auto& out) {
            const std::lock_guard lock(mutex_);
            const auto found = manifests.find(in.matches[2]);
            if (found == manifests.end()) {
                out.status = 404;
                out.set_content(
                    R"({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]})",
                    "application/json");
                return;
            }
            out.set_header("Docker-Content-Digest", digest::sha256(found->second.second));
            out.set_content(found->second.second, found->second.first);
        });
        server_.Get(R"(/v2/(.+)/blobs/(.+))", [this](const auto& in, auto& out) {
            const std::lock_guard lock(mutex_);
            const auto found = blobs.find(in.matches[2]);
            out.status = found == blobs.end() ? 404 : 200;
            if (found != blobs.end()) {
                out.set_content(found->second, "application/octet-stream");
            }
        });
        server_.Post(R"(/v2/(.+)/blobs/uploads/)", [this](const auto& in, auto& out) {
            const std::lock_guard lock(mutex_);
            if (faulty(in, out)) {
                return;
            }
            if (in.has_param("mount") &&
                blobs.contains(in.get_param_value("mount") + "@" + in.get_param_value("from"))) {
                blobs[in.get_param_value("mount")] =
                    blobs[in.get_param_value("mount") + "@" + in.get_param_value("from")];
                out.status = 201;
                return;
            }
            const std::string id = std::to_string(++uploads_);
            out.set_header("Location", "/upload/" + id + "?state=1");
            out.status = 202;
        });
        server_.Patch(R"(/upload/(\d+))", [this](const auto& in, auto& out) {
            const std::lock_guard lock(mutex_);
            if (faulty(in, out)) {
                return;
            }
            pending_[in.matches[1]] += in.body;
            out.set_header("Location", "/upload/" + in.matches[1].str() + "?state=2");
            out.status = 202;
        });
        server_.Put(R"(/upload/(\d+))", [this](const auto& in, auto& out) {
            const std::lock_guard lock(mutex_);
            if (faulty(in, out)) {
                return;
            }
            const std::string& body = pending_[in.matches[1]];
            const std::string digest = in.get_param_value("digest");
            out.status = digest::sha256(body) == digest ? 201 : 400;
            if (out.status == 201) {
                blobs[digest] = body;
            }
        });
        server_.Delete(R"(/upload/(\d+))", [](const auto&, auto& out) { out.status = 204; });
        server_.Put(R"(/v2/(.+)/manifests/(.+))", [this](const auto& in, auto& out) {
            const std::lock_guard lock(mutex_);
            if (faulty(in, out)) {
                return;
            }
            manifests[in.matches[2]] = {in.get_header_value("Content-Type"), in.body};
            out.set_header("Docker-Content-Digest", digest::sha256(in.body));
            out.status = 201;
        });
        server_.set_payload_max_length(std::size_t{1} << 28U);
        port_ = server_.bind_to_any_port("127.0.0.1");
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        server_.wait_until_ready();
    }
    FakeRegistry(const FakeRegistry&) = delete;
    FakeRegistry& operator=(const FakeRegistry&) = delete;
    ~FakeRegistry() {
        server_.stop();
        thread_.join();
    }

    [[nodiscard]] std::string host() const { return "127.0.0.1:" + std::to_string(port_); }
    [[nodiscard]] int count(std::string_view prefix) {
        const std::lock_guard lock(mutex_);
        int out = 0;
        for (const std::string& line : log) {
            out += line.starts_with(prefix) ? 1 : 0;
        }
        return out;
    }
    std::string add_manifest(const std::string& name, const std::string& type, const std::string& body) {
        const std::string digest = digest::sha256(body);
        manifests[name] = {type, body};
        manifests[digest] = {type, body};
        return digest;
    }

  private:
    bool faulty(const httplib::Request& request, httplib::Response& response) {
        if (!fault) {
            return false;
        }
        httplib::Response answer;
        if (!fault(request, answer)) {
            return false;
        }
        response.status = answer.status;
        response.headers = std::move(answer.headers);
        response.body = std::move(answer.body);
        return true;
    }

    httplib::Server server_;
    std::mutex mutex_;
    std::map<std::string, std::string> pending_;
    int uploads_ = 0;
    int port_ = 0;
    std::thread thread_;
};

} // namespace slipway::registry::test
