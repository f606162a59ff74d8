// ENV of a stage with what it inherits, shared between stages: ten thousand stages built on each other, each
// with a variable more, cost little more than one stage with all of them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace slipway::dockerfile {

class Environment {
  public:
    using Variables = std::map<std::string, std::string, std::less<>>;

    /// Value of a variable; nullptr when it is not set. Valid as long as this object or one made from it.
    [[nodiscard]] const std::string* find(std::string_view name) const noexcept;
    [[nodiscard]] bool contains(std::string_view name) const noexcept { return find(name) != nullptr; }
    /// Throws std::out_of_range when it is not set.
    [[nodiscard]] const std::string& at(std::string_view name) const;
    /// Everything, in one map.
    [[nodiscard]] Variables all() const;

    /// This one with `variables` over it.
    [[nodiscard]] Environment with(Variables variables) const;

  private:
    struct Layer {
        Variables own;
        std::shared_ptr<const Layer> below; ///< more than twice as large, so there are few
    };
    std::shared_ptr<const Layer> top_;
};

} // namespace slipway::dockerfile
