FROM registry.example/base
ADD git@registry.example:a/b.git /d/
