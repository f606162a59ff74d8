FROM Registry.example/Base
