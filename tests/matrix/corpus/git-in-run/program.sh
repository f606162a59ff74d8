echo program
