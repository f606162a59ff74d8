// Cuts a blocking exchange short: when the stop token fires or a deadline passes, the sockets it uses are
// shut down from a second thread, and whatever blocks on them returns.
//
// It works on duplicates of the descriptors: closing and reusing the original number cannot mislead it, and
// shutdown(2) acts on the socket behind both.
#pragma once

#include "base/fd.hpp"
#include "base/stop.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

namespace slipway::http {

class Watch {
  public:
    /// From the connecting thread, before connect(2).
    void add(int socket);
    /// Did it cut the present exchange short (or find it already past its deadline)?
    [[nodiscard]] bool fired() const noexcept { return fired_; }

    /// Watches while it lives. Costs a thread only where there is something to watch for.
    class Guard {
      public:
        Guard(Watch& watch, const StopToken& stop, std::chrono::steady_clock::time_point deadline);
        Guard(const Guard&) = delete;
        Guard& operator=(const Guard&) = delete;
        ~Guard();

      private:
        Watch& watch_;
        Fd done_;
        std::thread thread_;
    };

  private:
    void cut();

    std::mutex mutex_;
    std::vector<Fd> sockets_;
    std::atomic<bool> fired_ = false;
};

} // namespace slipway::http
