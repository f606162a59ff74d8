FROM registry.example/base
ADD --keep-git-dir=true f /f
