FROM x
<<<<<<< HEAD
