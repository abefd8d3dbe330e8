# unit tests of src/state
