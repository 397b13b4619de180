libconf_a_SOURCES = conf/describe.h conf/field.h conf/load.h conf/model.h 
