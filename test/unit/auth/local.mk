# unit tests of src/auth
