#include "dockerfile/environment.hpp"

#include <stdexcept>
#include <utility>

namespace slipway::dockerfile {

const std::string* Environment::find(std::string_view name) const noexcept {
    for (const Layer* layer = top_.get(); layer != nullptr; layer = layer->below.get()) {
        if (const auto found = layer->own.find(name); found != layer->own.end()) {
            return &found->second;
        }
    }
    return nullptr;
}

const std::string& Environment::at(std::string_view name) const {
    const std::string* value = find(name);
    if (value == nullptr) {
        throw std::out_of_range("no such variable: " + std::string(name));
    }
    return *value;
}

Environment::Variables Environment::all() const {
    Variables out;
    for (const Layer* layer = top_.get(); layer != nullptr; layer = layer->below.get()) {
        out.insert(layer->own.begin(), layer->own.end());
    }
    return out;
}

Environment Environment::with(Variables variables) const {
    if (variables.empty()) {
        return *this;
    }
    auto layer = std::make_shared<Layer>(Layer{std::move(variables), top_});
    // Layers of like size become one, so a variable is copied as often as its layer doubles.
    while (layer->below != nullptr && layer->below->own.size() <= 2 * layer->own.size()) {
        layer->own.insert(layer->below->own.begin(), layer->below->own.end());
        layer->below = layer->below->below;
    }
    Environment out;
    out.top_ = std::move(layer);
    return out;
}

} // namespace slipway::dockerfile
