FROM registry.example/base
ENV E="[$TARGETPLATFORM][$BUILDARCH]"
