#include "source/tree_rules.hpp"

#include "base/file.hpp"
#include "source/attributes_convert.hpp"

#include <filesystem>
#include <format>

namespace slipway::source {
namespace {

constexpr std::string_view attributes_file = ".gitattributes";

std::string listed(const std::set<std::string, std::less<>>& names) {
    constexpr std::size_t most = 5;
    std::string text;
    std::size_t count = 0;
    for (const std::string& name : names) {
        if (++count > most) {
            return text + ", …";
        }
        text += (text.empty() ? "" : ", ") + clean_line(name, 64);
    }
    return text;
}

} // namespace

Status TreeRules::prepare() {
    if (sparse_.empty()) {
        return {};
    }
    TRY_ASSIGN(cone_, SparseCone::of(sparse_));
    git_config* raw = nullptr;
    int rc = git_repository_config(&raw, repository_);
    const Config config(raw);
    if (rc < 0 || (rc = git_config_set_bool(raw, "core.sparseCheckout", 1)) < 0 ||
        (rc = git_config_set_bool(raw, "core.sparseCheckoutCone", 1)) < 0) {
        Error error =
            make_error(ErrorClass::internal, code::internal_error, "the sparse checkout could not be set up");
        error.cause = take_error(rc).text;
        return fail(std::move(error));
    }
    const std::filesystem::path info = std::filesystem::path(git_repository_path(repository_)) / "info";
    TRY(make_directories(info));
    return write_file_atomic(info / "sparse-checkout", cone_->patterns());
}

CheckoutRules TreeRules::rules() {
    return {
        .is_written = [this](std::string_view path) { return is_written(path); },
        .convert = [this](std::string_view path, std::string_view stored) { return convert(path, stored); }};
}

bool TreeRules::is_written(std::string_view path) {
    if (path.ends_with(attributes_file)) {
        const std::string_view directory = path.substr(0, path.size() - attributes_file.size());
        if (directory.empty() || directory.ends_with('/')) {
            attribute_directories_.emplace(
                directory.substr(0, directory.size() - (directory.empty() ? 0 : 1)));
        }
    }
    return !cone_ || cone_->contains(path);
}

void TreeRules::load_attributes() {
    git_tree* raw = nullptr;
    if (const int rc = git_commit_tree(&raw, commit_); rc < 0) {
        unreadable_ = take_error(rc);
        return;
    }
    const Tree tree(raw);
    for (const std::string& directory : attribute_directories_) { // the root's comes first
        const std::string path = directory + (directory.empty() ? "" : "/") + std::string(attributes_file);
        git_tree_entry* found = nullptr;
        int rc = git_tree_entry_bypath(&found, raw, path.c_str());
        const std::unique_ptr<git_tree_entry, FreeWith<git_tree_entry_free>> entry(found);
        git_blob* content = nullptr;
        if (rc == 0) {
            const bool regular = git_tree_entry_type(found) == GIT_OBJECT_BLOB &&
                                 git_tree_entry_filemode(found) != GIT_FILEMODE_LINK;
            if (!regular) {
                continue; // git does not follow a link here either
            }
            rc = git_blob_lookup(&content, repository_, git_tree_entry_id(found));
        }
        const Blob blob(content);
        if (rc < 0) {
            unreadable_ = take_error(rc);
            return;
        }
        const Status added =
            attributes_.add(directory, {static_cast<const char*>(git_blob_rawcontent(content)),
                                        static_cast<std::size_t>(git_blob_rawsize(content))});
        if (!added) {
            unreadable_ = library_error(GIT_ERROR_CHECKOUT, added.error().message);
            return;
        }
    }
}

TreeRules::Converted TreeRules::convert(std::string_view path, std::string_view stored) {
    if (attribute_directories_.empty()) {
        return std::nullopt;
    }
    std::call_once(loaded_, [this] { load_attributes(); });
    if (unreadable_) {
        return std::unexpected(*unreadable_);
    }
    const FileAttributes attributes = attributes_.of(path);
    if ((!attributes.filter.empty() && attributes.filter != "lfs") || !attributes.encoding.empty()) {
        const std::scoped_lock lock(mutex_);
        if (!attributes.filter.empty() && attributes.filter != "lfs") {
            filters_.insert(attributes.filter);
        }
        if (!attributes.encoding.empty()) {
            encodings_.insert(attributes.encoding);
        }
    }
    return convert_content(stored, attributes, [stored] {
        git_oid id{};
        git_odb_hash(&id, stored.data(), stored.size(), GIT_OBJECT_BLOB);
        return hex(id);
    });
}

std::vector<std::string> TreeRules::notes() const {
    std::vector<std::string> lines;
    if (cone_) {
        for (const std::string& directory : cone_->missed()) {
            lines.push_back(
                std::format("--sparse {}: the repository has no such directory", clean_line(directory, 256)));
        }
    }
    if (!filters_.empty()) {
        lines.push_back("did not run filters that .gitattributes names: " + listed(filters_));
    }
    if (!encodings_.empty()) {
        lines.push_back("left files as they are stored, in UTF-8, that .gitattributes wants in " +
                        listed(encodings_));
    }
    return lines;
}

} // namespace slipway::source
