// What RUN asks of a builder without privileges: found in command position, never in strings.
#include "linted.hpp"

#include <array>

using linted::rules;

namespace {

/// Findings of one RUN; the columns are those of the line.
std::string run(const std::string& command) {
    return rules("FROM a\nRUN " + command + "\n");
}

} // namespace

TEST_CASE("commands that need a privilege") {
    struct Row {
        std::string_view command;
        std::string_view expected;
    };
    static constexpr std::array rows{
        Row{"mount -t tmpfs none /mnt", "UnprivilegedMount@2:5+5"},
        Row{"true && umount /proc", "UnprivilegedMount@2:13+6"},
        Row{"sudo swapon /swap", "UnprivilegedMount@2:10+6"},
        Row{"sysctl -w vm.x=1", "UnprivilegedKernelSetting@2:5+6"},
        Row{"sysctl -p", "UnprivilegedKernelSetting@2:5+6"},
        Row{"echo 1 > /proc/sys/net/x", "UnprivilegedKernelSetting@2:14+15"},
        Row{"hostname x", "UnprivilegedKernelSetting@2:5+8"},
        Row{"date -s 2020-01-01", "UnprivilegedKernelSetting@2:5+4"},
        Row{"mknod /dev/x c 1 3", "UnprivilegedDevice@2:5+5"},
        Row{"modprobe fuse; insmod x", "UnprivilegedKernelModule@2:5+8 UnprivilegedKernelModule@2:20+6"},
        Row{"/sbin/iptables -A INPUT", "UnprivilegedNetworkAdmin@2:5+14"},
        Row{"ip link set eth0 up", "UnprivilegedNetworkAdmin@2:5+2"},
        Row{"systemctl restart nginx", "UnprivilegedService@2:5+9"},
        Row{"systemctl enable --now nginx", "UnprivilegedService@2:5+9"},
        Row{"docker build .", "UnprivilegedContainerEngine@2:5+6"},
        Row{"dockerd & sleep 1", "UnprivilegedContainerEngine@2:5+7"},
        Row{"unshare -m true", "UnprivilegedNamespace@2:5+7"},
        Row{"python3 -m http.server 80 &", "UnprivilegedPort@2:5+7"},
        Row{"php -S 0.0.0.0:80", "UnprivilegedPort@2:5+3"},
        Row{"chown -R 70000:0 /x", "UnprivilegedUserId@2:14+7"},
        Row{"chown 1000:65536 /x", "UnprivilegedUserId@2:11+10"},
        Row{"setcap cap_net_raw+ep /x", "FileCapabilities@2:5+6"},
        Row{"echo 1.2.3.4 x >> /etc/hosts", "LostFile@2:23+10"},
        Row{"--network=none make", "UnprivilegedNetworkFlag@2:5+14"},
    };
    for (const Row& row : rows) {
        INFO(row.command);
        CHECK(run(std::string(row.command)) == row.expected);
    }
}

TEST_CASE("what looks like them and is fine") {
    for (const char* command : {"apt-get install -y mount iptables sysctl docker kmod",
                                "echo 'mount /x' \"; umount /y\"",
                                "true # mount /x",
                                "mount",
                                "mount --version",
                                "sysctl -a",
                                "echo x > /etc/sysctl.d/x.conf",
                                "hostname",
                                "date +%s",
                                "mknod /x p",
                                "which docker mount",
                                "command -v iptables",
                                "docker --version",
                                "docker completion bash > /x",
                                "systemctl enable nginx",
                                "systemctl mask x",
                                "unshare -r -m true",
                                "unshare --user true",
                                "chroot / true",
                                "iptables --version",
                                "ip addr",
                                "chown -R 1000:65535 /x",
                                "chown app:app /x",
                                "python3 -m http.server 8080",
                                "sysctl -p || true",
                                "if docker info; then x; fi",
                                "update-alternatives --set iptables /usr/sbin/iptables-legacy",
                                "install -d /sys-root/dev && mount-x y",
                                "--network=host make",
                                "nc -z localhost 80",
                                "cat /etc/hosts > /x"}) {
        INFO(command);
        CHECK(run(command) == "");
    }
}

TEST_CASE("places are right over continued lines, comments and tabs") {
    CHECK(rules("FROM a\nRUN a && \\\n  # mount x\n\tmount /x && \\\n    b | modprobe c\n") ==
          "UnprivilegedMount@4:2+5 UnprivilegedKernelModule@5:9+8");
    CHECK(rules("FROM a\nRUN --mount=type=cache,target=/x \\\n  --mount=type=tmpfs,target=/y mount /x\n") ==
          "UnprivilegedMount@3:32+5");
    CHECK(rules("# escape=`\nFROM a\nRUN a && `\n mount x\n") == "UnprivilegedMount@4:2+5");
    CHECK(rules("FROM a\n  RUN   mount x\n") == "UnprivilegedMount@2:9+5");
    CHECK(rules("FROM a\r\nRUN a && \\\r\n mount x\r\n") == "UnprivilegedMount@3:2+5");
}

TEST_CASE("here-documents are scripts where a shell reads them") {
    CHECK(rules("FROM a\nRUN <<EOF\nset -e\nmount /x\ncat <<IN\nmount y\nIN\nEOF\n") ==
          "UnprivilegedMount@4:1+5");
    CHECK(rules("FROM a\nRUN <<-EOF\n\t\tmount /x\n\tEOF\n") == "UnprivilegedMount@3:3+5");
    CHECK(rules("FROM a\nRUN bash <<EOF\nmount /x\nEOF\n") == "UnprivilegedMount@3:1+5");
    CHECK(rules("FROM a\nRUN <<EOF\n#!/usr/bin/env bash\nmount /x\nEOF\n") == "UnprivilegedMount@4:1+5");
    CHECK(rules("FROM a\nRUN <<EOF\n#!/usr/bin/env python3\nmount /x\nEOF\n") == "");
    CHECK(rules("FROM a\nRUN cat <<EOF >/etc/fstab\nmount /x\nEOF\n") == "");
    CHECK(rules("FROM a\nCOPY <<EOF /x\nmount /x\nEOF\n") == "");
    CHECK(rules("FROM a\nRUN python3 <<EOF && umount /y\nmount /x\nEOF\n") == "UnprivilegedMount@2:22+6");
}

TEST_CASE("other forms of RUN") {
    CHECK(rules("FROM a\nRUN [\"mount\", \"/x\"]\n") == "UnprivilegedMount@2:7+5");
    CHECK(rules("FROM a\nRUN [\"/bin/sh\", \"-ec\", \"a; mount /x\"]\n") == "UnprivilegedMount@2:28+5");
    CHECK(rules("FROM a\nRUN [\"echo\", \"mount /x\"]\n") == "");
    CHECK(rules("FROM a\nONBUILD RUN mount /x\n") == "UnprivilegedMount@2:13+5");
    CHECK(rules("FROM a\nSHELL [\"powershell\", \"-Command\"]\nRUN mount x y\n") == "");
    CHECK(rules("FROM a\nSHELL [\"/bin/bash\", \"-o\", \"pipefail\", \"-c\"]\nRUN mount x y\n") ==
          "UnprivilegedMount@3:5+5");
}

TEST_CASE("ids outside the namespace in USER and --chown") {
    CHECK(
        rules(
            "FROM a\nUSER 70000\nCOPY --chown=0:70000 x /x\nADD --chown=100 x /y\nUSER 65535\nUSER app\n") ==
        "UnprivilegedUserId@2:6+5 UnprivilegedUserId@3:14+7");
    CHECK(rules("FROM a\nUSER 2000\n", {.id_limit = 1000}) == "UnprivilegedUserId@2:6+4");
}

TEST_CASE("chown -R is worth advice only behind a COPY") {
    CHECK(rules("FROM a\nCOPY . /app\nRUN chown -R app /app\n") == "RecursiveChown@3:5+5");
    CHECK(rules("FROM a\nRUN mkdir /app && chown -R app /app\n") == "");
    CHECK(rules("FROM a\nCOPY . /app\nRUN chown app /app\n") == "");
}
