FROM --platform= registry.example/base
