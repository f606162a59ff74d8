#include "handoff/files.hpp"
#include "pod/probe.hpp"
#include "steps/build_failure.hpp"
#include "steps/enclosure.hpp"
#include "steps/steps.hpp"
#include "steps/work.hpp"
#include "steps/workshop.hpp"

#include <format>

namespace slipway::steps {

namespace fs = std::filesystem;

Result<handoff::Image> build(const cli::Build& params, const handoff::Plan& plan, Step& step) {
    const fs::path work = work_directory(params.work);
    const pod::Report report = pod::probe({.work = work, .state = step.state});
    auto recipe = pod::choose(report, params.recipe, params.storage, params.isolation);
    const std::string does = std::format("build {} of {}", plan.dockerfile, plan.source);
    if (!recipe) {
        step.hello(does);
        return fail(recipe.error());
    }
    step.hello(does,
               frames::Recipe{.name = recipe->name, .isolation = recipe->isolation, .reason = recipe->reason},
               frames::Storage{.driver = recipe->storage, .path = work.string()});
    for (const pod::Advice& advice : recipe->warnings) {
        step.warn(advice.code, advice.message, advice.hint);
    }
    TRY(handoff::forget_from(step.state, "image"));
    const bool docker_format = params.format == "docker" || (params.format == "auto" && plan.docker_format);
    if (params.format == "oci" && plan.docker_format) {
        step.warn("formatloss",
                  "an OCI image cannot hold HEALTHCHECK, SHELL or ONBUILD: they will be missing",
                  "use --format=docker");
    }

    TRY_ASSIGN(pod::Home home, pod::Home::prepare(work));
    Workshop shop(step, params, std::move(*recipe), std::move(home));
    TRY_ASSIGN(const registry::Options registry, registry_options(params.registry, params.retries, step));
    shop.environment = child_environment(shop.home, shop.recipe, step.common);
    shop.global.program = params.buildah.empty() ? "buildah" : params.buildah.string();
    shop.enclosure = surroundings(report, shop.recipe, shop.home);
    shop.global.wrapper = emulation::prefix(shop.enclosure);
    shop.global.root = shop.home.graph_root();
    shop.global.runroot = shop.home.run_root();
    shop.global.short_names = shop.home.short_names();
    shop.global.driver = shop.recipe.driver;
    shop.global.storage_options = shop.recipe.storage_options;
    shop.access.authfile = auth_file(step.common);
    if (!params.registry.tls_verify) {
        shop.access.tls_verify = false;
    }
    step.heartbeat_from([&shop] { return heartbeat(shop); });

    const auto work_through = [&]() -> Result<handoff::Image> {
        remove_leftovers(shop);
        TRY(foresee_space(shop, plan));
        TRY(bring_bases(shop, plan, registry));
        TRY_ASSIGN(const std::string id, run_build(shop, plan, docker_format, registry));
        return export_image(shop, id, plan, docker_format);
    };
    auto image = work_through();
    if (!image) {
        image = fail(explain_failure(shop, plan, std::move(image).error()));
    }
    step.heartbeat_from({});
    clean_up(shop);
    TRY(image);
    TRY(handoff::write(step.state, *image));
    return image;
}

} // namespace slipway::steps
