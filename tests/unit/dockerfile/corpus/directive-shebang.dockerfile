#!/usr/bin/env slipway
# escape=`
FROM registry.example/base
RUN a \
 b
