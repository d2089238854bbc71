"""What a run leaves and how people read it: run store, Allure, HTML, tables, progress."""
