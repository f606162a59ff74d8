// Any bytes are a pack or an error: nothing crashes, hangs or takes memory that was only promised. What
// stands in place of the checksum is made right, so that deltas are reached.
#include "base/file.hpp"
#include "hold.hpp"
#include "source/library.hpp"
#include "source/pack_receiver.hpp"
#include "source/pack_sum.hpp"

#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace slipway;
    static const bool ready = source::ensure_library().has_value();
    static const auto place = TemporaryDirectory::create("slipway-fuzz-", "/dev/shm");
    hold(ready && place);
    std::string pack(reinterpret_cast<const char*>(data), size);
    if (pack.size() > source::Checksum::size) {
        source::Checksum sum;
        pack.resize(pack.size() - source::Checksum::size);
        sum.add(pack);
        pack += sum.finish();
    }
    bool failed = false;
    {
        source::PackReceiver receiver(place->path(), [](const source::PackProgress&) { return true; });
        const std::size_t half = pack.size() / 2;
        failed = !receiver.append({pack.data(), half}) ||
                 !receiver.append({pack.data() + half, pack.size() - half}) || !receiver.finish();
    }
    std::size_t left = 0;
    for (const auto& entry : std::filesystem::directory_iterator(place->path())) {
        std::filesystem::remove(entry.path());
        ++left;
    }
    hold(left == 0 || (!failed && left == 2));
    return 0;
}
