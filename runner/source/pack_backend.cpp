#include "source/pack_backend.hpp"

#include "source/library.hpp"
#include "source/pack_receiver.hpp"

#include <filesystem>
#include <git2/sys/errors.h>
#include <git2/sys/odb_backend.h>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace slipway::source {
namespace {

constexpr int before_libgit2s_own = 100;

int give_error(const LibraryError& error) {
    git_error_set_str(error.klass, error.text.c_str());
    return error.rc;
}

/// libgit2's idea of a pack being written: the first member is what it knows of it.
struct Writer {
    git_odb_writepack base{};
    git_indexer_progress* stats = nullptr;
    git_indexer_progress_cb tell = nullptr;
    void* payload = nullptr;
    std::unique_ptr<PackReceiver> receiver;

    static Writer& of(git_odb_writepack* known) { return *reinterpret_cast<Writer*>(known); }

    bool go_on(const PackProgress& progress) const {
        stats->total_objects = progress.total;
        stats->received_objects = progress.received;
        stats->indexed_objects = progress.indexed + progress.indexed_deltas;
        stats->total_deltas = progress.deltas;
        stats->indexed_deltas = progress.indexed_deltas;
        return tell == nullptr || tell(stats, payload) == 0;
    }

    /// No exception may pass through libgit2.
    template <class Call> int guarded(git_indexer_progress* into, Call call) {
        stats = into;
        try {
            const PackReceiver::Done done = call(*receiver);
            return done ? 0 : give_error(done.error());
        } catch (const std::bad_alloc&) {
            return give_error(library_error(GIT_ERROR_NOMEMORY, "not enough memory for the pack"));
        }
    }
};

struct Backend {
    git_odb_backend base{};
    std::string directory;
    ObjectTaker take;
};

int append(git_odb_writepack* known, const void* data, std::size_t size, git_indexer_progress* stats) {
    return Writer::of(known).guarded(stats, [&](PackReceiver& receiver) {
        return receiver.append({static_cast<const char*>(data), size});
    });
}

int commit(git_odb_writepack* known, git_indexer_progress* stats) {
    return Writer::of(known).guarded(stats, [](PackReceiver& receiver) { return receiver.finish(); });
}

int write_pack(git_odb_writepack** out, git_odb_backend* known, git_odb*, git_indexer_progress_cb tell,
               void* payload) {
    auto writer = std::make_unique<Writer>();
    writer->base.backend = known;
    writer->base.append = append;
    writer->base.commit = commit;
    writer->base.free = [](git_odb_writepack* each) { delete &Writer::of(each); };
    writer->tell = tell;
    writer->payload = payload;
    const Backend& backend = *reinterpret_cast<Backend*>(known);
    writer->receiver = std::make_unique<PackReceiver>(
        backend.directory, [me = writer.get()](const PackProgress& progress) { return me->go_on(progress); },
        backend.take);
    *out = &writer.release()->base;
    return 0;
}

} // namespace

int receive_packs(git_repository* repository, ObjectTaker take) {
    git_odb* objects = nullptr;
    if (const int rc = git_repository_odb(&objects, repository); rc < 0) {
        return rc;
    }
    const Database owned(objects);
    auto backend = std::make_unique<Backend>();
    if (const int rc = git_odb_init_backend(&backend->base, GIT_ODB_BACKEND_VERSION); rc < 0) {
        return rc;
    }
    backend->directory =
        (std::filesystem::path(git_repository_commondir(repository)) / "objects" / "pack").string();
    backend->take = std::move(take);
    backend->base.writepack = write_pack;
    // It only writes: libgit2's own finds the packs afterwards. Of all functions this one is called unasked.
    backend->base.foreach = [](git_odb_backend*, git_odb_foreach_cb, void*) { return 0; };
    backend->base.free = [](git_odb_backend* each) { delete reinterpret_cast<Backend*>(each); };
    if (const int rc = git_odb_add_backend(objects, &backend->base, before_libgit2s_own); rc < 0) {
        return rc;
    }
    static_cast<void>(backend.release());
    return 0;
}

} // namespace slipway::source
