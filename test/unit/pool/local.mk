# unit tests of src/pool
