"""The reviewer's page: groups that people look at, their answers, and the labels file that comes of them."""
