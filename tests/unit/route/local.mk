# unit tests of route
