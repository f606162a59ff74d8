#include "process/supervise.hpp"

#include "base/fd.hpp"
#include "process/spawn.hpp"
#include "process/tree.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <format>
#include <memory>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace slipway::process {

namespace {

namespace asio = boost::asio;
using SteadyClock = std::chrono::steady_clock;
using TimePoint = SteadyClock::time_point;
using Descriptor = asio::posix::stream_descriptor;

constexpr Milliseconds tick_interval{250};
constexpr Milliseconds poll_interval{20}; // for the child's end, where there is no pidfd
constexpr Milliseconds drain_quiet{200};  // how long a pipe that is still open may be silent
constexpr Milliseconds drain_most{2'000}; // and how long it may go on talking, once the child is gone
constexpr Milliseconds kill_most{5'000};  // a killed process that is still there is stuck in the kernel
constexpr Milliseconds sweep_most{3'000};
constexpr std::size_t buffer_size = 128U * 1024U;
constexpr std::size_t turn_size = 8 * buffer_size; // read from one stream before the others get their turn
constexpr std::size_t pipe_size = 1024U * 1024U;   // asked for; an unprivileged user may get less
constexpr std::size_t rest_size = 4 * pipe_size;   // no kernel buffer holds more than this

/// A pipe or socket pair for one stream: our end, and the child's.
struct Channel {
    Fd ours;
    Fd childs;
};

/// Descriptors 0..2 are occupied (prepare_program), so whatever is opened here is 3 or above.
Result<Channel> open_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return fail_errno("pipe", errno);
    }
    Channel channel{.ours = Fd(ends[0]), .childs = Fd(ends[1])};
    ::fcntl(channel.childs.get(), F_SETPIPE_SZ, static_cast<int>(pipe_size)); // a smaller one works as well
    return channel;
}

Result<Channel> open_telling_socket() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return fail_errno("socketpair", errno);
    }
    Channel channel{.ours = Fd(ends[0]), .childs = Fd(ends[1])};
    const int on = 1;
    if (::setsockopt(channel.ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
        return fail_errno("SO_PASSCRED", errno);
    }
    const int size = pipe_size;
    ::setsockopt(channel.childs.get(), SOL_SOCKET, SO_SNDBUF, &size,
                 sizeof size);               // the system's bound applies
    ::shutdown(channel.ours.get(), SHUT_WR); // a child that reads from its stdout sees the end
    return channel;
}

pid_t writer_of(msghdr& message) {
    for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS) {
            ucred credentials{};
            std::memcpy(&credentials, CMSG_DATA(part), sizeof credentials);
            return credentials.pid;
        }
    }
    return 0;
}

class Supervision {
  public:
    Supervision(const Limits& limits, Sink& sink, const OnTick& on_tick)
        : limits_(limits), sink_(sink), on_tick_(on_tick), out_(context_), err_(context_),
          child_fd_(context_), main_fd_(context_), stop_(context_), timer_(context_) {}
    Supervision(const Supervision&) = delete;
    Supervision& operator=(const Supervision&) = delete;
    ~Supervision();

    Status start(const Command& command, const StopToken& stop);
    Result<Exit> watch();

  private:
    struct Reader {
        explicit Reader(asio::io_context& context) : fd(context) {}
        Descriptor fd;
        Stream stream = Stream::out;
        bool tells_writers = false;
    };
    enum class Phase { running, draining, done };

    ssize_t receive(Reader& reader, Source& source);
    bool read_some(Reader& reader, std::size_t most);
    void await_output(Reader& reader);
    void await_child();
    void await_main_writer();
    void await_time();

    void end_child(Exit::EndedBy why, TimePoint now);
    void signal_group(int signal) const;
    void collect_child();
    void on_time(TimePoint now);
    [[nodiscard]] TimePoint next_time() const;

    const Limits& limits_;
    Sink& sink_;
    const OnTick& on_tick_;
    asio::io_context context_{1};
    Reader out_;
    Reader err_;
    Descriptor child_fd_; // pidfd of the child; closed where there is none
    Descriptor main_fd_;  // pidfd of the main writer, when that is not the child itself
    Descriptor stop_;
    asio::steady_timer timer_;
    TreeMember tree_; // reads /proc: before the start

    std::unique_ptr<char[]> buffer_ = std::make_unique_for_overwrite<char[]>(buffer_size);
    pid_t child_ = 0;
    bool reaped_ = false;
    MainWriter main_writer_;
    Phase phase_ = Phase::running;
    Status trouble_;
    Exit exit_;

    TimePoint started_;
    TimePoint last_output_;
    TimePoint next_tick_;
    TimePoint deadline_ = TimePoint::max();
    TimePoint kill_at_ = TimePoint::max();
    TimePoint give_up_at_ = TimePoint::max();
    TimePoint drain_end_ = TimePoint::max();
};

Status Supervision::start(const Command& command, const StopToken& stop) {
    std::string_view path;
    for (const std::string& entry : command.environment) {
        if (entry.starts_with("PATH=")) {
            path = std::string_view(entry).substr(5);
        }
    }
    if (command.argv.empty()) {
        return fail(ErrorClass::internal, code::internal_error, "no program was named");
    }
    TRY_ASSIGN(const std::filesystem::path program, find_program(command.argv.front(), path));
    const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!nothing) {
        return fail_errno("open /dev/null", errno);
    }
    TRY_ASSIGN(Channel out, command.tell_writers ? open_telling_socket() : open_pipe());
    TRY_ASSIGN(Channel err, command.tell_writers ? open_telling_socket() : open_pipe());

    started_ = SteadyClock::now();
    TRY_ASSIGN(child_, spawn(command, program,
                             {.in = nothing.get(), .out = out.childs.get(), .err = err.childs.get()}));
    tree_.set_child(child_);
    out_.tells_writers = err_.tells_writers = command.tell_writers;
    out_.fd.assign(out.ours.release());
    err_.stream = Stream::err;
    err_.fd.assign(err.ours.release());
    for (Reader* reader : {&out_, &err_}) {
        reader->fd.native_non_blocking(true);
    }
    if (const long fd = ::syscall(SYS_pidfd_open, child_, 0U); fd >= 0) {
        child_fd_.assign(static_cast<int>(fd));
    }
    if (stop.fd() >= 0) {
        stop_.assign(::fcntl(stop.fd(), F_DUPFD_CLOEXEC, 3));
    }
    return {};
}

/// Reached with a living child only when something threw, or when it can not be killed.
Supervision::~Supervision() {
    if (child_ > 0 && !reaped_) {
        signal_group(SIGKILL);
        for (int i = 0; i < 100 && ::waitpid(child_, nullptr, WNOHANG) == 0; ++i) {
            ::usleep(10'000);
        }
    }
}

/// Call only before the child is reaped: until then nobody else gets its number.
void Supervision::signal_group(int signal) const {
    ::kill(-child_, signal);
    if (::getpgid(child_) != child_) {
        ::kill(child_, signal); // it has left the group it was born into
    }
}

/// One read into buffer_; as read(2).
ssize_t Supervision::receive(Reader& reader, Source& source) {
    source.stream = reader.stream;
    if (!reader.tells_writers) {
        return ::read(reader.fd.native_handle(), buffer_.get(), buffer_size);
    }
    iovec part{.iov_base = buffer_.get(), .iov_len = buffer_size};
    if (reader.stream == Stream::err && !main_writer_.known()) {
        read_some(out_, rest_size); // the first word of a writer comes before anything its children print
    }
    // Room for the credentials and nothing else: descriptors a writer sends along are dropped by the kernel.
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(reader.fd.native_handle(), &message, MSG_CMSG_CLOEXEC);
    if (size > 0) {
        const pid_t writer = writer_of(message);
        source.writer_known = writer > 0;
        if (reader.stream == Stream::err) {
            source.from_main = main_writer_.vouches_for(writer, reaped_ ? 0 : child_);
            return size;
        }
        source.from_main = main_writer_.is(writer);
        if (source.from_main && writer != child_ && !main_fd_.is_open()) {
            await_main_writer();
        }
    }
    return size;
}

/// Reads what is there, at most about `most` bytes; false = the stream has ended (and is closed).
bool Supervision::read_some(Reader& reader, std::size_t most) {
    for (std::size_t total = 0; reader.fd.is_open() && total < most;) {
        Source source;
        const ssize_t size = receive(reader, source);
        if (size > 0) {
            const auto bytes = static_cast<std::size_t>(size);
            sink_.take(source, {buffer_.get(), bytes});
            last_output_ = SteadyClock::now();
            total += bytes;
        } else if (size < 0 && errno == EAGAIN) {
            break;
        } else if (size == 0 || errno != EINTR) {
            reader.fd.close();
        }
    }
    return reader.fd.is_open();
}

void Supervision::await_output(Reader& reader) {
    reader.fd.async_wait(Descriptor::wait_read, [this, &reader](const boost::system::error_code& failed) {
        if (!failed && read_some(reader, turn_size)) {
            await_output(reader);
        }
    });
}

void Supervision::await_child() {
    if (child_fd_.is_open()) {
        child_fd_.async_wait(Descriptor::wait_read, [this](const boost::system::error_code& failed) {
            if (!failed) {
                collect_child();
            }
        });
    }
}

/// Once the main writer is gone its pid may go to somebody else, who must not be taken for it. (Where the
/// child itself is the main writer, collect_child() takes care.)
void Supervision::await_main_writer() {
    const long fd = ::syscall(SYS_pidfd_open, main_writer_.pid(), 0U);
    if (fd < 0) {
        return;
    }
    main_fd_.assign(static_cast<int>(fd));
    main_fd_.async_wait(Descriptor::wait_read, [this](const boost::system::error_code& failed) {
        if (!failed) {
            read_some(out_, rest_size);
            read_some(err_, rest_size);
            main_writer_.retire();
            main_fd_.close();
        }
    });
}

void Supervision::end_child(Exit::EndedBy why, TimePoint now) {
    if (phase_ == Phase::draining) {
        drain_end_ = now;
        return;
    }
    if (phase_ != Phase::running || exit_.ended_by != Exit::EndedBy::itself) {
        return;
    }
    exit_.ended_by = why;
    deadline_ = TimePoint::max();
    kill_at_ = now + limits_.grace;
    signal_group(SIGTERM);
    signal_group(SIGCONT); // a stopped process takes SIGTERM only when it goes on
}

/// If the child has ended: notes how, and begins to drain.
void Supervision::collect_child() {
    if (phase_ != Phase::running) {
        return;
    }
    // Until it is reaped nobody else gets its pid, so all it wrote is still told apart by it.
    siginfo_t ended{};
    if (::waitid(P_PID, static_cast<id_t>(child_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        ended.si_pid == 0) {
        await_child();
        return;
    }
    if (out_.tells_writers) {
        read_some(out_, rest_size);
        read_some(err_, rest_size);
        if (main_writer_.pid() == child_) {
            main_writer_.retire();
        }
    }
    int status = 0;
    rusage used{};
    if (::wait4(child_, &status, 0, &used) != child_) {
        trouble_ = fail_errno("waiting for the child", errno);
        phase_ = Phase::done;
        reaped_ = true;
        return;
    }
    reaped_ = true;
    const TimePoint now = SteadyClock::now();
    exit_.usage.wall = std::chrono::duration_cast<Milliseconds>(now - started_);
    add_usage(exit_.usage, used);
    if (WIFSIGNALED(status)) {
        exit_.kind = Exit::Kind::signalled;
        exit_.signal = WTERMSIG(status);
        exit_.core = WCOREDUMP(status);
    } else {
        exit_.code = WEXITSTATUS(status);
    }
    phase_ = Phase::draining;
    last_output_ = now; // the quiet time counts from here
    drain_end_ = exit_.ended_by == Exit::EndedBy::itself ? now + drain_most : now;
    on_time(now);
    timer_.cancel();
}

void Supervision::on_time(TimePoint now) {
    sink_.look(now);
    if (phase_ == Phase::draining) {
        const bool open = out_.fd.is_open() || err_.fd.is_open();
        if (!open || now >= drain_end_ || now >= last_output_ + drain_quiet) {
            phase_ = Phase::done;
        }
        return;
    }
    if (now >= next_tick_) {
        next_tick_ = now + tick_interval;
        tree_.reap_orphans(exit_.usage);
        if (on_tick_) {
            on_tick_(child_);
        }
    }
    if (now >= deadline_) {
        end_child(Exit::EndedBy::deadline, now);
    }
    if (now >= kill_at_) {
        kill_at_ = TimePoint::max();
        give_up_at_ = now + kill_most;
        signal_group(SIGKILL);
    }
    if (now >= give_up_at_) {
        trouble_ = fail(ErrorClass::internal, code::internal_error,
                        std::format("process {} does not end although it was killed", child_),
                        "look for a hanging file system or device on the node");
        phase_ = Phase::done;
    }
    if (!child_fd_.is_open()) {
        collect_child();
    }
}

TimePoint Supervision::next_time() const {
    TimePoint next = sink_.due();
    if (phase_ == Phase::draining) {
        return std::min({next, drain_end_, last_output_ + drain_quiet});
    }
    next = std::min({next, next_tick_, deadline_, kill_at_, give_up_at_});
    return child_fd_.is_open() ? next : std::min(next, SteadyClock::now() + poll_interval);
}

void Supervision::await_time() {
    timer_.expires_at(next_time());
    timer_.async_wait([this](const boost::system::error_code&) { // also when cancelled: look, and wait anew
        on_time(SteadyClock::now());
        await_time();
    });
}

Result<Exit> Supervision::watch() {
    if (limits_.timeout > Milliseconds::zero()) {
        deadline_ = started_ + limits_.timeout;
    }
    last_output_ = started_;
    next_tick_ = started_ + tick_interval;
    await_output(out_);
    await_output(err_);
    await_child();
    if (stop_.is_open()) {
        stop_.async_wait(Descriptor::wait_read, [this](const boost::system::error_code& failed) {
            if (!failed) {
                end_child(Exit::EndedBy::stop, SteadyClock::now());
                timer_.cancel();
            }
        });
    }
    await_time();
    while (phase_ != Phase::done) {
        context_.run_one();
        if (phase_ == Phase::draining && !out_.fd.is_open() && !err_.fd.is_open()) {
            phase_ = Phase::done;
        }
    }
    read_some(out_, rest_size);
    read_some(err_, rest_size);
    exit_.pipe_left_open = out_.fd.is_open() || err_.fd.is_open();
    tree_.leave(exit_, sweep_most);
    read_some(out_, rest_size);
    read_some(err_, rest_size);
    sink_.finish();
    if (!trouble_) {
        return fail(trouble_.error());
    }
    return exit_;
}

} // namespace

Result<Exit> supervise(const Command& command, const Limits& limits, const StopToken& stop, Sink& sink,
                       const OnTick& on_tick) {
    if (stop.requested()) {
        return fail(stop.error());
    }
    TRY(prepare_program());
    try {
        Supervision supervision(limits, sink, on_tick);
        TRY(supervision.start(command, stop));
        return supervision.watch();
    } catch (const boost::system::system_error& thrown) {
        return fail_errno("watching " + quote(command.argv), thrown.code().value());
    }
}

} // namespace slipway::process
