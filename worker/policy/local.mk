libpolicy_a_SOURCES = 
