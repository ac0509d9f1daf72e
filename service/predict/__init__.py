"""The program `cnn-predict`: answers for folders of pictures, as a table that survives whatever stops the program."""
