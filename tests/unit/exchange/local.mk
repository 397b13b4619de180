# unit tests of exchange
