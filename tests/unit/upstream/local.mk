# unit tests of upstream
