# unit tests of src/route
