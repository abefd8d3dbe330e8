# unit tests of src/worker
