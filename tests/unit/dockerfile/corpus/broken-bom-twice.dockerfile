﻿FROM registry.example/base
