FROM x y
