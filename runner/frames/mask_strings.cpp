#include "frames/mask_strings.hpp"

namespace slipway::frames::detail {

namespace {

struct Strings {
    const Redactor& redactor;
    std::uint64_t& redactions;

    template <class... Members> void all(Members&... members) const {
        (redactor.mask_in_place(members, &redactions), ...);
    }
    void operator()(Hello& hello) const {
        all(hello.version, hello.build_id, hello.does);
        if (hello.recipe) {
            all(hello.recipe->name, hello.recipe->isolation, hello.recipe->reason);
        }
        if (hello.storage) {
            all(hello.storage->driver, hello.storage->path);
        }
    }
    void operator()(Phase& phase) const {
        if (phase.pull) {
            all(phase.pull->registry, phase.pull->image, phase.pull->tag, phase.pull->digest,
                phase.pull->username);
        }
    }
    void operator()(Command& command) const { all(command.stage, command.text); }
    void operator()(Log& log) const { all(log.text); }
    void operator()(Progress& progress) const { all(progress.what, progress.id); }
    void operator()(Heartbeat&) const {}
    void operator()(Warning& warning) const {
        all(warning.code, warning.message, warning.hint, warning.rule);
        if (warning.where) {
            all(warning.where->file, warning.where->quote);
        }
    }
    void operator()(Image& image) const {
        all(image.id, image.digest, image.config_digest, image.media_type, image.platform);
        for (BaseImage& base : image.base_images) {
            all(base.name, base.digest);
        }
    }
    void operator()(Layer& layer) const { all(layer.digest, layer.media_type); }
    void operator()(ResultFrame& result) const { all(result.name, result.value); }
    void operator()(Timing& timing) const { all(timing.what); }
    void operator()(Reproduce& reproduce) const { all(reproduce.command); }
    void operator()(ErrorFrame& error) const {
        all(error.code, error.message, error.cause, error.hint);
        for (std::string& line : error.output) {
            all(line);
        }
        if (error.where) {
            all(error.where->file, error.where->quote);
        }
    }
    void operator()(End& end) const { all(end.archive); }
};

} // namespace

void mask_strings(Payload& payload, const Redactor& redactor, std::uint64_t& redactions) {
    if (!redactor.empty()) {
        std::visit(Strings{.redactor = redactor, .redactions = redactions}, payload);
    }
}

} // namespace slipway::frames::detail
